"""Scores any bank on any examples: loss, greedy text, ROUGE-L, exact match."""

from collections.abc import Callable, Sequence
import copy
import dataclasses
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation import text_scores
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.federated.client import finite_owners, select
from fedprompt_jax.federated.packed import grid_losses
from fedprompt_jax.models.tokenizer import Tokenizer
from fedprompt_jax.peft import none
from fedprompt_jax.peft.kind import Params

SLICE = 2048  # requests packed at once, so that memory does not grow


class Request(NamedTuple):
    """One instance of the store, to be scored under one owner's prompt."""

    owner: int
    instance: int


class Scores(NamedTuple):
    """What came out for n requests, in their order.

    Attributes:
      predictions: greedy texts, [n].
      rouge_l: f64 [n] between 0 and 1.
      exact_match: f64 [n], 0 or 1.
      loss: f64 [n] sum of -log p over the target tokens, in nats.
      target_tokens: int64 [n].
      output_tokens: int64 [n] generated, the end token left out.
    """

    predictions: list[str]
    rouge_l: np.ndarray
    exact_match: np.ndarray
    loss: np.ndarray
    target_tokens: np.ndarray
    output_tokens: np.ndarray


class Evaluator(NamedTuple):
    """Everything about scoring that stays the same during a run.

    Attributes:
      store: tokens and texts.
      tokenizer: turns outputs into text.
      packer: row shapes for the losses.
      generator: greedy decoding.
    """

    store: TokenStore
    tokenizer: Tokenizer
    packer: Packer
    generator: Generator

    def bare(self) -> tuple['Evaluator', Params]:
        """The evaluator of the model with nothing trained, and that nothing."""
        kind = none.Nothing()
        generator = copy.copy(self.generator)
        generator.model = dataclasses.replace(generator.model, kind=kind)
        packer = generator.model.packer(*self.packer.shapes)
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
        finite = np.asarray(finite_owners(bank))
        bank = select(finite, bank, 0.0)
        loss = self.losses(bank, requests, progress)
        queries = [
            Query(r.owner, self.store.query(r.instance)) for r in requests
        ]
        outputs = self.generator(bank, queries, f'{progress}: generating')
        texts = self.tokenizer.decode_batch(outputs)
        texts = [t.strip() for t in texts]
        truths = [self.store.record(r.instance)['outputs'] for r in requests]
        pairs = list(zip(texts, truths, strict=True))
        splits = [self._split(r.instance) for r in requests]
        alive = finite[[r.owner for r in requests]]

        def kept(values):
            return np.where(alive, values, np.nan)

        return Scores(
            texts,
            kept(
                [
                    text_scores.rouge_l(*p, split)
                    for p, split in zip(pairs, splits, strict=True)
                ]
            ),
            kept([text_scores.exact_match(*p) for p in pairs]),
            kept(loss),
            np.array([len(self.store.target(r.instance)) for r in requests]),
            np.array([len(o) for o in outputs]),
        )

    def _split(self, instance: int) -> Callable[[str], list[str]] | None:
        """How ROUGE-L cuts this instance's texts; None for English ones."""
        task = self.store.tasks[self.store.task_of[instance]]
        return None if is_english(task) else self.tokenizer.pieces

    def losses(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> np.ndarray:
        """Sum of -log p over each request's target tokens, f64 [n]."""
        total = np.zeros(len(requests))
        bar = tqdm(
            total=len(requests),
            desc=f'{progress}: losses',
            disable=None if progress else True,  # None: off a terminal
            leave=False,
        )
        for start in range(0, len(requests), SLICE):
            part = requests[start : start + SLICE]
            examples = [self.store.example(*r) for r in part]
            sums = self._sums(bank, examples, bar.update)
            if not np.isfinite(sums).all():  # one, or all that share its row?
                sums = self._sums(bank, examples, lambda n: None, isolate=True)
            total[start : start + len(part)] = sums
        bar.close()
        return total

    def _sums(
        self,
        bank,
        examples: Sequence[Example],
        progress: Callable[[int], Any],
        isolate: bool = False,
    ) -> np.ndarray:
        """Sum of -log p over each example's target, f64 [n]."""
        model, base = self.generator.model, self.generator.base
        total = np.zeros(len(examples))
        # Row by row, so that memory follows the slice and not the set.
        for grid in self.packer.pack(examples, [1.0] * len(examples), isolate):
            losses = grid_losses(model, base, bank, self.generator.put(grid))
            real = grid.target_example >= 0
            of = grid.target_example[real]
            total += np.bincount(
                of, np.asarray(losses)[real], minlength=len(total)
            )
            progress(len(np.unique(of)))
        return total


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
    if loss == 'sequence':
        return float(np.mean(total))
    if loss == 'example':
        return float(np.mean(total / tokens))
    return float(np.sum(total) / np.sum(tokens))


def is_english(task: dict) -> bool:
    """Whether a task of the store answers in English alone."""
    return set(task['output_language']) <= {'English'}
