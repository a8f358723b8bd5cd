"""Greedy generation for any mixture of owners and queries in one batch.

The keys and values of each owner's prompt are computed once and shared by all
its queries. Queries are sorted by length into batches of few static shapes.

N queries in a batch, L their padded length, P prompt tokens.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.packing import every_row
from fedprompt_jax.evaluation import causal, seq2seq
from fedprompt_jax.evaluation.one_behind import one_behind

HALVES = range(4)  # how often the most rows may be halved
STEP = 32  # tokens that a step of decoding costs besides its rows' own


class Query(NamedTuple):
    """Token ids int32 [q], q >= 1, to be continued behind an owner's prompt."""

    owner: int
    tokens: np.ndarray


class Generator:
    """Continues queries greedily.

    Attributes:
      model: the language model.
      base: its parameters, on device.
      eos_ids: tokens that end an output.
      max_new_tokens: longest output.
      batch_size: most queries at once, N.
      max_tokens: most query tokens at once, which bounds memory.
      place_rows: places a batch [N, ...] on the device mesh.
      my_rows: N -> bool [N], the queries that this process reads.
      row_multiple: N is a multiple of it.
    """

    def __init__(
        self,
        model: TunedModel,
        base,
        *,
        eos_ids: Sequence[int],
        max_new_tokens: int,
        batch_size: int,
        place_rows: Callable,
        max_tokens: int = 2**20,
        my_rows: Callable[[int], np.ndarray] = every_row,
        row_multiple: int = 1,
    ) -> None:
        self.model, self.base = model, base
        self.eos_ids, self.max_new_tokens = tuple(eos_ids), max_new_tokens
        self.batch_size, self.max_tokens = batch_size, max_tokens
        self.place_rows, self.my_rows = place_rows, my_rows
        self.row_multiple = row_multiple

    def __call__(
        self, bank, queries: Sequence[Query], progress: str = ''
    ) -> list[np.ndarray]:
        """Output token ids of each query, its end token left out.

        Args:
          bank: trained parameters, leaves [C, ...].
          queries: of any owners, in any order.
          progress: what the progress bar says; '' shows none.
        """
        if self.model.transformer.config.objective == 'masked_lm':
            raise ValueError('A masked language model generates no text.')
        order = sorted(
            range(len(queries)), key=lambda i: -len(queries[i].tokens)
        )
        outputs: list[np.ndarray] = [np.zeros(0, np.int32)] * len(queries)
        bar = tqdm(
            total=len(queries),
            desc=progress,
            disable=None if progress else True,  # None: off a terminal
            leave=False,
        )
        for chosen, tokens in one_behind(self._dispatch(bank, queries, order)):
            for i, row in zip(chosen, tokens, strict=False):
                outputs[i] = _until(row, self.eos_ids)
            bar.update(len(chosen))
        bar.close()
        return outputs

    def _dispatch(
        self, bank, queries: Sequence[Query], order: Sequence[int]
    ) -> Iterator[tuple[Sequence[int], jax.Array]]:
        """The queries of each batch, and its outputs on the devices.

        Args:
          bank: trained parameters, leaves [C, ...].
          queries: of any owners.
          order: of the queries, the longest first.
        """
        greedy = self._decoder(bank)
        for rows, _ in batches(
            [len(queries[i].tokens) for i in order],
            self.batch_size,
            self.max_tokens,
            self.max_new_tokens,
            self.row_multiple,
        ):
            chosen, order = order[:rows], order[rows:]
            padded, length, owner = self.place_rows(
                _pad([queries[i] for i in chosen], self.my_rows(rows))
            )
            yield chosen, greedy(owner, padded, length)

    def _decoder(self, bank) -> Callable:
        """Outputs [N, max_new_tokens] of owners, queries and lengths.

        What an owner has is gathered out here: each query is then an owner of
        its own, and one program serves any number of owners.
        """
        model, base = self.model, self.base
        fixed = self.eos_ids, self.max_new_tokens

        def of(owner):
            if model.kind.is_full_model:  # its only owner is everybody's
                return bank
            return jax.tree.map(lambda x: x[owner], bank)

        if model.transformer.config.encoder is not None:
            return lambda owner, *queries: seq2seq.greedy(
                model, base, of(owner), *queries, *fixed
            )
        if model.kind.reads_query:  # no two queries have one prompt

            def alone(owner, *queries):
                own = of(owner)
                past = causal.prompt_cache(model, base, own, *queries)
                return causal.greedy(model, base, own, past, *queries, *fixed)

            return alone
        cache = causal.prompt_cache(model, base, bank)

        def call(owner, *queries):
            past = jax.tree.map(lambda x: x[:, owner], cache)
            return causal.greedy(model, base, of(owner), past, *queries, *fixed)

        return call


def batches(
    lengths: Sequence[int],
    most_rows: int,
    max_tokens: int,
    new_tokens: int,
    multiple: int = 1,
) -> list[tuple[int, int]]:
    """(rows, padded length) of the batches that cost least.

    Few rows leave little padding behind a long query; many read the model
    seldom. A batch has the most rows that are allowed, or a half, a quarter or
    an eighth of them: each number and length is compiled for.

    Args:
      lengths: of the queries, descending; a batch takes the next ones.
      most_rows: of a batch.
      max_tokens: most padded tokens of a batch, if it has several rows.
      new_tokens: longest output.
      multiple: rows are a multiple of it (the data axis of the device mesh).
    """
    total = len(lengths)
    best, choice = [0] * (total + 1), [(0, 0)] * total
    for i in reversed(range(total)):
        length = padded_length(lengths[i])
        most = max(1, min(most_rows, max_tokens // length))
        options = {-(-max(1, most >> k) // multiple) * multiple for k in HALVES}
        costs = {
            rows: rows * (length + new_tokens)
            + STEP * new_tokens
            + best[min(total, i + rows)]
            for rows in options
        }
        rows = min(costs, key=lambda rows: (costs[rows], -rows))
        best[i], choice[i] = costs[rows], (rows, length)
    sizes, i = [], 0
    while i < total:
        sizes.append(choice[i])
        i += choice[i][0]
    return sizes


def _pad(queries: Sequence[Query], mine: np.ndarray):
    """tokens [N, L], length [N] (0: no query), owner [N] of N = len(mine)."""
    rows, lengths = len(mine), [len(q.tokens) for q in queries]
    tokens = np.zeros((rows, padded_length(max(lengths))), np.int32)
    length, owner = np.zeros((2, rows), np.int32)
    for n, query in enumerate(queries):
        if mine[n]:
            tokens[n, : lengths[n]] = query.tokens
        length[n], owner[n] = lengths[n], query.owner
    return tokens, length, owner


def padded_length(length: int) -> int:
    """16, 24, 32, 48, 64, 96, ...: two lengths an octave are compiled for."""
    size = 16
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


def _until(row: np.ndarray, eos_ids: Sequence[int]) -> np.ndarray:
    ends = np.flatnonzero(np.isin(row, eos_ids))
    return row[: ends[0]] if len(ends) else row
