"""Scores any bank on any examples: loss, greedy text, ROUGE-L, exact match."""

from collections.abc import Iterator, Mapping, Sequence
import copy
import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from tqdm import tqdm

from fedprompt_jax.bank import bare as none
from fedprompt_jax.bank.grid import grid_losses
from fedprompt_jax.bank.kind import Params
from fedprompt_jax.bank.owners import finite_owners, select
from fedprompt_jax.data import shapes
from fedprompt_jax.data.examples import LOSSES, Example
from fedprompt_jax.data.packing import Grid, Packer
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation import beginnings, units
from fedprompt_jax.evaluation import choices as choices_lib
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.evaluation.one_behind import one_behind
from fedprompt_jax.mesh import to_host
from fedprompt_jax.models.tokenizer import Tokenizer

SLICE = 2048  # requests packed at once, so that memory does not grow


class Request(NamedTuple):
    """One instance of the store, to be scored under one owner's prompt.

    Attributes:
      owner: index into the bank.
      instance: of the store.
    """

    owner: int
    instance: int


class Scores(NamedTuple):
    """The results of n requests, in the order of the requests.

    Attributes:
      predictions: greedy texts, or the likeliest choices, [n].
      rouge_l: f64 [n] between 0 and 1.
      exact_match: f64 [n], 0 or 1.
      loss: f64 [n] sum of -log p over the target tokens, in nats.
      target_tokens: int64 [n].
      output_tokens: int64 [n] generated, or of the choice, the end token left
        out.
      choice_losses: for each request, f64 [k] as `loss`, of its choices.
      outputs: int32 [t] of each request, the tokens of a generated answer, its
        end left out; [0] where the answer was chosen. () of a scorer that
        generates nothing.
      notes: of each request, further fields of its line in predictions.jsonl;
        () for none.
    """

    predictions: list[str]
    rouge_l: np.ndarray
    exact_match: np.ndarray
    loss: np.ndarray
    target_tokens: np.ndarray
    output_tokens: np.ndarray
    choice_losses: Sequence[np.ndarray] = ()
    outputs: Sequence[np.ndarray] = ()
    notes: Sequence[Mapping[str, Any]] = ()


class Scorer(Protocol):
    """Scores prompts: an Evaluator, or that of several runs (merged.py)."""

    @property
    def store(self) -> TokenStore: ...

    def bare(self) -> tuple['Scorer', Params]: ...

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores: ...

    def token_losses(
        self, bank, examples: Sequence[Example]
    ) -> list[np.ndarray]: ...


class Evaluator(NamedTuple):
    """Everything about scoring that stays the same during a run.

    Attributes:
      store: tokens and texts.
      tokenizer: turns outputs into text.
      packer: row shapes for the losses.
      generator: greedy decoding.
      choices: how the likeliest choice is found, a key of choices.RULES.
    """

    store: TokenStore
    tokenizer: Tokenizer
    packer: Packer
    generator: Generator
    choices: str = 'sum'

    def bare(self) -> tuple['Evaluator', Params]:
        """The evaluator of the model with nothing trained, and that nothing."""
        kind = none.Nothing()
        generator = copy.copy(self.generator)
        generator.model = dataclasses.replace(generator.model, kind=kind)
        packer = generator.model.packer(*self.packer.shapes)
        packer = packer._replace(my_rows=self.packer.my_rows)
        other = self._replace(packer=packer, generator=generator)
        return other, kind.init(None)

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores:
        """Scores of each request; NaN for a non-finite owner.

        Args:
          bank: trained parameters of C owners, leaves [C, ...].
          requests: any owners with any instances.
          progress: what the progress bars say; '' shows none.
        """
        finite = finite_owners(bank)
        bank = select(finite, bank, 0.0)
        loss, choice_losses = self.losses(bank, requests, progress)
        chosen = self._choose(requests, choice_losses)
        free = [i for i in range(len(requests)) if i not in chosen]
        texts, lengths = [''] * len(requests), [0] * len(requests)
        exact = [0.0] * len(requests)
        outputs = [np.zeros(0, np.int32)] * len(requests)
        records = [self.store.record(r.instance) for r in requests]
        for i, (text, length) in chosen.items():
            texts[i], lengths[i] = text, length
            # To the letter: 'C#.' is not 'C'.
            exact[i] = float(text == records[i]['outputs'][0])
        written = self._write(bank, [requests[i] for i in free], progress)
        for i, (text, output) in zip(free, written, strict=True):
            texts[i], lengths[i], outputs[i] = text, len(output), output
            exact[i] = self._exact_match(records[i], text, output)
        alive = to_host(finite)[[r.owner for r in requests]]

        def placed(values):
            return np.where(alive, values, np.nan)

        return Scores(
            texts,
            placed(
                [
                    rouge_l(self.store, self.tokenizer, r.instance, text)
                    for r, text in zip(requests, texts, strict=True)
                ]
            ),
            placed(exact),
            placed(loss),
            np.array([len(self.store.target(r.instance)) for r in requests]),
            np.array(lengths),
            choice_losses,
            outputs,
        )

    def _choose(
        self, requests: Sequence[Request], losses: Sequence[np.ndarray]
    ) -> dict[int, tuple[str, int]]:
        """Place of a request with choices -> the likeliest, its tokens."""
        chosen = {}
        for i, (request, of_choices) in enumerate(
            zip(requests, losses, strict=True)
        ):
            if len(of_choices):
                texts = self.store.record(request.instance)['choices']
                tokens = [len(c) for c in self.store.choices(request.instance)]
                k = choices_lib.likeliest(
                    of_choices, texts, tokens, self.choices
                )
                chosen[i] = texts[k], tokens[k]
        return chosen

    def _write(
        self, bank, requests: Sequence[Request], progress: str
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Greedy text of each request, and its tokens."""
        queries = [
            Query(r.owner, self.store.query(r.instance)) for r in requests
        ]
        if not queries:
            return
        outputs = self.generator(bank, queries, f'{progress}: generating')
        texts = self.tokenizer.decode_batch(outputs)
        for text, output in zip(texts, outputs, strict=True):
            yield text.strip(), output

    def _exact_match(
        self, record: Mapping[str, Any], text: str, output: np.ndarray
    ) -> float:
        """1.0 if a generated text is right, as the instance's source says."""
        references = record['outputs']
        if 'beginning' in record:
            return float(beginnings.begins(output, references, self.tokenizer))
        return units.exact_match(text, references)

    def losses(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Sums of -log p over targets, f64 [n], and over choices, f64 [k] each.

        A query is read once for its target and all its choices.
        """
        found: list[np.ndarray] = []  # of each request: target, then choices
        bar = tqdm(
            total=len(requests),
            desc=f'{progress}: losses',
            disable=None if progress else True,  # None: off a terminal
            leave=False,
        )
        for start in range(0, len(requests), SLICE):
            part = requests[start : start + SLICE]
            sums = self._sums(bank, part)
            if not all(np.isfinite(x).all() for x in sums):
                # One owner, or all that share its rows?
                sums = self._sums(bank, part, isolate=True)
            found += sums
            bar.update(len(part))
        bar.close()
        return np.array([x[0] for x in found]), [x[1:] for x in found]

    def token_losses(
        self, bank, examples: Sequence[Example]
    ) -> list[np.ndarray]:
        """-log p of the tokens of every target, f64 [t] each, in order.

        The examples may be longer, and have more targets, than those of the
        store that the row shapes were chosen for.

        Args:
          bank: trained parameters of C owners, leaves [C, ...]; losses of a
            non-finite owner mean nothing.
          examples: of any owners.
        """
        bank = select(finite_owners(bank), bank, 0.0)
        if not examples:
            return []
        packer = shapes.widened(
            self.packer, examples, self.generator.row_multiple
        )
        wide, found = self._replace(packer=packer), []
        for start in range(0, len(examples), SLICE):
            part = examples[start : start + SLICE]
            losses = wide._token_losses(bank, part, isolate=False)
            if not all(np.isfinite(x).all() for x in losses):
                losses = wide._token_losses(bank, part, isolate=True)
            found += losses
        return found

    def _sums(
        self, bank, requests: Sequence[Request], isolate: bool = False
    ) -> list[np.ndarray]:
        """Sums of -log p over the target and the choices of each request."""
        examples: list[Example] = []
        # Of each sum: the number of a target, counted over all examples, and
        # how many of its tokens.
        parts: list[tuple[int, int]] = []
        first, counts = 0, []
        for owner, instance in requests:
            targets = choices_lib.asked(self.store, instance)
            kept, of_asked = choices_lib.distinct(targets)
            parts += [(first + k, size) for k, size in of_asked]
            examples += choices_lib.examples(
                self.store, owner, instance, self.packer.holds
            )
            first += len(kept)
            counts.append(len(targets))
        losses = self._token_losses(bank, examples, isolate)
        values = np.array([losses[n][:size].sum() for n, size in parts])
        return np.split(values, np.cumsum(counts)[:-1])

    def _token_losses(
        self, bank, examples: Sequence[Example], isolate: bool
    ) -> list[np.ndarray]:
        """-log p of the tokens of every target, f64 [t] each, in order."""
        sizes = [len(t) for e in examples for t in e.targets]
        ends = np.cumsum(sizes)
        flat = np.zeros(ends[-1])
        # Row by row, so that memory follows the slice and not the set.
        grids = self.packer.pack(examples, [1.0] * len(examples), isolate)
        dispatched = ((grid, self._grid_losses(bank, grid)) for grid in grids)
        for grid, losses in one_behind(dispatched):
            real = grid.target_number >= 0
            of = grid.target_number[real]
            # The tokens of a target follow each other in a row.
            place = np.arange(len(of))
            began = np.maximum.accumulate(
                np.where(np.diff(of, prepend=-1) != 0, place, 0)
            )
            at = ends[of] - np.take(sizes, of) + place - began
            flat[at] = losses[real]
        return np.split(flat, ends[:-1])

    def _grid_losses(self, bank, grid: Grid) -> jax.Array:
        """-log p f32 [R, K] of a grid's targets, on the devices."""
        generator = self.generator
        return grid_losses(
            generator.model, generator.base, bank, generator.place_rows(grid)
        )


def rouge_l(
    store: TokenStore, tokenizer: Tokenizer, instance: int, text: str
) -> float:
    """ROUGE-L of a text as the answer to an instance, 0 to 1."""
    record = store.record(instance)
    task = store.tasks[store.task_of[instance]]
    compared = units.units(task, record, tokenizer)
    return units.rouge_l(text, record['outputs'], compared, tokenizer)


def mean_loss(scores: Scores, chosen: np.ndarray, loss: str) -> float:
    """Mean loss of the chosen requests, as config.loss averages.

    Args:
      scores: of all requests.
      chosen: indices or a mask of the requests to average.
      loss: a key of data.examples.LOSSES.
    """
    total, tokens = scores.loss[chosen], scores.target_tokens[chosen]
    if not len(total):
        return float('nan')
    return float(LOSSES[loss].mean(total, tokens))
