"""Greedy generation for any mixture of owners and queries in one batch.

The keys and values of each owner's prompt are computed once and shared by all
its queries. Queries are sorted by length into batches of few static shapes.

N queries in a batch, L their padded length, P prompt tokens, M cache slots.
"""

from collections.abc import Callable, Sequence
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from fedprompt_jax.data.packing import every_row
from fedprompt_jax.evaluation import seq2seq
from fedprompt_jax.federated.mesh import to_host
from fedprompt_jax.models.attention import KeysValues
from fedprompt_jax.models.layers import Places
from fedprompt_jax.peft.tuned import TunedModel


class Query(NamedTuple):
    """Token ids int32 [q], q >= 1, to be continued behind an owner's prompt."""

    owner: int
    tokens: np.ndarray


class Decoding(NamedTuple):
    """State of a batch that is being continued.

    Attributes:
      step: int32 scalar, tokens written so far.
      tokens: int32 [N, max_new_tokens], `eos` after a row's end.
      done: bool [N], rows that have ended.
      cache: keys and values [layers, N, M, K, h] of prompt, query and output.
    """

    step: jax.Array
    tokens: jax.Array
    done: jax.Array
    cache: KeysValues


class Generator:
    """Continues queries greedily.

    Attributes:
      model: the language model.
      base: its parameters, on device.
      eos_ids: tokens that end an output.
      max_new_tokens: longest output.
      batch_size: most queries at once, N.
      max_tokens: most query tokens at once, which bounds memory.
      put: places a batch [N, ...] on the device mesh.
      own: N -> bool [N], the queries that this process reads.
    """

    def __init__(
        self,
        model: TunedModel,
        base,
        *,
        eos_ids: Sequence[int],
        max_new_tokens: int,
        batch_size: int,
        put: Callable,
        max_tokens: int = 2**20,
        own: Callable[[int], np.ndarray] = every_row,
    ) -> None:
        self.model, self.base = model, base
        self.eos_ids, self.max_new_tokens = tuple(eos_ids), max_new_tokens
        self.batch_size, self.max_tokens = batch_size, max_tokens
        self.put, self.own = put, own

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
        lengths = [len(q.tokens) for q in queries]
        order = sorted(range(len(queries)), key=lambda i: -lengths[i])
        greedy = self._decoder(bank)
        outputs: list[np.ndarray] = [np.zeros(0, np.int32)] * len(queries)
        bar = tqdm(
            total=len(queries),
            desc=progress,
            disable=None if progress else True,  # None: off a terminal
            leave=False,
        )
        while order:
            size = self._batch_rows(padded_length(lengths[order[0]]))
            chosen, order = order[:size], order[size:]
            padded, length, owner = self.put(
                _pad([queries[i] for i in chosen], self.own(size))
            )
            tokens = to_host(greedy(owner, padded, length))
            for i, row in zip(chosen, tokens, strict=False):
                outputs[i] = _until(row, self.eos_ids)
            bar.update(len(chosen))
        bar.close()
        return outputs

    def _decoder(self, bank) -> Callable:
        """Outputs [N, max_new_tokens] of owners, queries and lengths.

        What an owner has is gathered out here: each query is then an owner of
        its own, and one program serves any number of owners.
        """
        model, base = self.model, self.base
        fixed = self.eos_ids, self.max_new_tokens

        def of(owner):
            if model.kind.whole:  # its only owner is everybody's
                return bank
            return jax.tree.map(lambda x: x[owner], bank)

        if model.transformer.config.encoder is not None:
            return lambda owner, *queries: seq2seq.greedy(
                model, base, of(owner), *queries, *fixed
            )
        cache = prompt_cache(model, base, bank)

        def call(owner, *queries):
            past = jax.tree.map(lambda x: x[:, owner], cache)
            return greedy(model, base, of(owner), past, *queries, *fixed)

        return call

    def _batch_rows(self, length: int) -> int:
        """Queries of a padded length at once: as max_tokens allows."""
        return max(1, min(self.batch_size, self.max_tokens // length))


def _pad(queries: Sequence[Query], own: np.ndarray):
    """tokens [N, L], length [N] (0: no query), owner [N] of N = len(own)."""
    rows, lengths = len(own), [len(q.tokens) for q in queries]
    tokens = np.zeros((rows, padded_length(max(lengths))), np.int32)
    length, owner = np.zeros((2, rows), np.int32)
    for n, query in enumerate(queries):
        if own[n]:
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


@functools.partial(jax.jit, static_argnames='model')
def prompt_cache(model: TunedModel, base, bank) -> KeysValues:
    """Keys and values of each owner's slots, [layers, C, P, K, h] each."""
    owners, slots = len(jax.tree.leaves(bank)[0]), model.kind.slots
    mask = jnp.tril(jnp.ones((owners, slots, slots), bool))
    tokens = jnp.zeros((owners, slots), jnp.int32)
    bound = model.bind(base, bank)
    return bound.hidden_states(tokens, slot_places(owners, slots), mask)[1]


def slot_places(owners: int, slots: int) -> Places:
    """Where the slots [C, P] of a bank stand."""
    owner, slot = jnp.indices((owners, slots))
    return Places(slot, owner, slot)


@functools.partial(
    jax.jit, static_argnames=('model', 'eos_ids', 'max_new_tokens')
)
def greedy(
    model: TunedModel,
    base,
    bank,
    past: KeysValues,
    tokens: jax.Array,
    length: jax.Array,
    eos_ids: tuple[int, ...],
    max_new_tokens: int,
) -> jax.Array:
    """Output tokens int32 [N, max_new_tokens].

    Args:
      model: the language model.
      base: its parameters.
      bank: trained parameters of each query's owner, leaves [N, ...].
      past: keys and values of the slots before each query,
        [layers, N, P, K, h].
      tokens: int32 [N, L] queries, padded on the right.
      length: int32 [N] their lengths; a row of length 0 generates nothing.
      eos_ids: tokens that end an output.
      max_new_tokens: longest output.
    """
    bound = model.bind(base, bank)
    rows, padded = tokens.shape
    slots, first = model.kind.slots, model.kind.first_position
    query_end = slots + length  # [N], a column of the cache
    output_start = slots + padded
    shift = first - slots  # of a position against its column without padding

    def choose(hidden):  # [N, D] -> [N]
        return jnp.argmax(bound.logits(hidden), axis=-1).astype(jnp.int32)

    def places_of(position) -> Places:  # of tokens that are no slots
        owner = jnp.indices(position.shape)[0]
        return Places(position, owner, jnp.full_like(position, -1))

    def prefill() -> Decoding:
        here = places_of(
            jnp.broadcast_to(first + jnp.arange(padded), tokens.shape)
        )
        causal = jnp.tril(jnp.ones((padded, output_start), bool), slots)
        mask = jnp.broadcast_to(causal, (rows, *causal.shape))
        before = slot_places(rows, slots)
        hidden, own = bound.hidden_states(tokens, here, mask, past, before)
        last = jnp.maximum(length - 1, 0)[:, None, None]
        token = choose(jnp.take_along_axis(hidden, last, axis=1)[:, 0])
        room = [(0, 0), (0, 0), (0, max_new_tokens - 1), (0, 0), (0, 0)]
        cache = jax.tree.map(
            lambda a, b: jnp.pad(jnp.concatenate([a, b], axis=2), room),
            past,
            own,
        )
        out = jnp.full((len(tokens), max_new_tokens), eos_ids[0], jnp.int32)
        done = length == 0
        out = out.at[:, 0].set(jnp.where(done, eos_ids[0], token))
        return Decoding(jnp.int32(1), out, done | ended(out[:, 0]), cache)

    def ended(token):
        return jnp.isin(token, jnp.array(eos_ids))

    def step(state: Decoding) -> Decoding:
        token = state.tokens[:, state.step - 1]
        column = jnp.arange(state.cache[0].shape[2])
        written = (column >= output_start) & (
            column < output_start + state.step - 1
        )
        seen = (column < query_end[:, None]) | written  # [N, M]
        mask = jnp.pad(seen, ((0, 0), (0, 1)), constant_values=True)
        here = places_of((query_end + shift + state.step - 1)[:, None])
        # Outputs go on where the query ended, though their columns do not.
        outputs = query_end[:, None] + column - output_start
        at = jnp.where(column < output_start, column, outputs) + shift
        is_slot = column < slots
        there = places_of(jnp.where(is_slot, column, at))
        there = there._replace(slot=jnp.where(is_slot, column, there.slot))
        hidden, own = bound.hidden_states(
            token[:, None], here, mask[:, None], state.cache, there
        )
        cache = jax.tree.map(
            lambda c, x: jax.lax.dynamic_update_slice_in_dim(
                c, x, output_start + state.step - 1, axis=2
            ),
            state.cache,
            own,
        )
        token = jnp.where(state.done, eos_ids[0], choose(hidden[:, 0]))
        out = state.tokens.at[:, state.step].set(token)
        return Decoding(state.step + 1, out, state.done | ended(token), cache)

    def going(state: Decoding):
        return (state.step < max_new_tokens) & ~state.done.all()

    return jax.lax.while_loop(going, step, prefill()).tokens
