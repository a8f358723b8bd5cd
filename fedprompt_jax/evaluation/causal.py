"""Greedy generation by a causal model, behind cached virtual tokens."""

import functools

import jax
import jax.numpy as jnp

from fedprompt_jax.evaluation import decoding
from fedprompt_jax.models.attention import KeysValues
from fedprompt_jax.models.layers import Places
from fedprompt_jax.peft.tuned import TunedModel


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

    def places_of(position) -> Places:  # of tokens that are no slots
        owner = jnp.indices(position.shape)[0]
        return Places(position, owner, jnp.full_like(position, -1))

    def prefill():
        at = jnp.broadcast_to(first + jnp.arange(padded), tokens.shape)
        causal = jnp.tril(jnp.ones((padded, output_start), bool), slots)
        mask = jnp.broadcast_to(causal, (rows, *causal.shape))
        before = slot_places(rows, slots)
        hidden, own = bound.hidden_states(
            tokens, places_of(at), mask, past, before
        )
        last = jnp.maximum(length - 1, 0)[:, None, None]
        both = jax.tree.map(
            lambda a, b: jnp.concatenate([a, b], axis=2), past, own
        )
        return jnp.take_along_axis(hidden, last, axis=1), both

    def advance(step, last, cache):
        column = jnp.arange(cache[0].shape[2])
        end = output_start + step - 1  # the column of `last`
        written = (column >= output_start) & (column < end)
        seen = (column < query_end[:, None]) | written  # [N, M]
        mask = jnp.pad(seen, ((0, 0), (0, 1)), constant_values=True)
        here = places_of((query_end + shift + step - 1)[:, None])
        # Outputs go on where the query ended, though their columns do not.
        outputs = query_end[:, None] + column - output_start
        at = jnp.where(column < output_start, column, outputs) + shift
        is_slot = column < slots
        there = places_of(jnp.where(is_slot, column, at))
        there = there._replace(slot=jnp.where(is_slot, column, there.slot))
        hidden, own = bound.hidden_states(
            last, here, mask[:, None], cache, there
        )
        return hidden, decoding.put(cache, own, end)

    hidden, cache = prefill()
    cache = decoding.with_room(cache, max_new_tokens - 1)
    return decoding.write(
        bound, hidden, length == 0, cache, advance, eos_ids, max_new_tokens
    )
