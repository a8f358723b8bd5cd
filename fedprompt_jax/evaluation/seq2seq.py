"""Greedy generation by a decoder that reads an encoder's output.

The encoder reads each query behind its owner's virtual tokens once, and the
keys and values that the decoder makes of its output are kept. A prompt reads
the text, so that nothing of it can be shared between queries.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.models.attention import KeysValues, Memory
from fedprompt_jax.models.layers import Places
from fedprompt_jax.peft.tuned import TunedModel


class Decoding(NamedTuple):
    """State of a batch that is being continued.

    Attributes:
      step: int32 scalar, tokens written so far.
      tokens: int32 [N, max_new_tokens], `eos` after a row's end.
      done: bool [N], rows that have ended.
      cache: keys and values [layers, N, max_new_tokens, K, h] of the start
        token and the output.
    """

    step: jax.Array
    tokens: jax.Array
    done: jax.Array
    cache: KeysValues


@functools.partial(
    jax.jit, static_argnames=('model', 'eos_ids', 'max_new_tokens')
)
def greedy(
    model: TunedModel,
    base,
    bank,
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
      tokens: int32 [N, L] queries, padded on the right.
      length: int32 [N] their lengths; a row of length 0 generates nothing.
      eos_ids: tokens that end an output.
      max_new_tokens: longest output.
    """
    bound, slots = model.bind(base, bank), model.kind.slots
    rows, padded = tokens.shape
    first = model.kind.first_position
    column = jnp.broadcast_to(
        jnp.arange(slots + padded), (rows, slots + padded)
    )
    owner = jnp.broadcast_to(jnp.arange(rows)[:, None], column.shape)
    is_slot = column < slots

    def encoded() -> Memory:
        places = Places(
            jnp.where(is_slot, column, column - slots + first),
            owner,
            jnp.where(is_slot, column, -1),
        )
        there = column < slots + length[:, None]
        mask = jnp.broadcast_to(
            there[:, None], (rows, slots + padded, slots + padded)
        )
        padded_tokens = jnp.pad(tokens, ((0, 0), (slots, 0)))
        hidden = bound.encode(padded_tokens, places, mask)
        # A prompt is part of the text; a prefix has no hidden states.
        seen = there & (~is_slot | model.kind.reads)
        return Memory(hidden, owner, seen[:, None])

    def at(position) -> Places:
        return Places(position, owner[:, :1], jnp.full((rows, 1), -1))

    def choose(hidden):  # [N, 1, D] -> [N]
        return jnp.argmax(bound.logits(hidden[:, 0]), axis=-1).astype(jnp.int32)

    def ended(token):
        return jnp.isin(token, jnp.array(eos_ids))

    memory = encoded()
    start = jnp.full((rows, 1), bound.transformer.config.start_token)
    alone = jnp.ones((rows, 1, 1), bool)
    now = at(jnp.zeros((rows, 1), int))
    hidden, own, known = bound.decode(start, now, alone, memory)
    memory = memory._replace(hidden=None)  # its keys and values are known
    out = jnp.full((rows, max_new_tokens), eos_ids[0], jnp.int32)
    done = length == 0
    token = jnp.where(done, eos_ids[0], choose(hidden))
    out = out.at[:, 0].set(token)
    room = [(0, 0), (0, 0), (0, max_new_tokens - 1), (0, 0), (0, 0)]
    cache = jax.tree.map(lambda x: jnp.pad(x, room), own)
    written = jnp.arange(max_new_tokens)

    def step(state: Decoding) -> Decoding:
        token = state.tokens[:, state.step - 1][:, None]
        mask = jnp.append(written < state.step, True)
        mask = jnp.broadcast_to(mask, (rows, 1, len(mask)))
        before = jnp.broadcast_to(written, (rows, max_new_tokens))
        hidden, own, _ = bound.decode(
            token,
            at(jnp.full((rows, 1), state.step)),
            mask,
            memory,
            known,
            state.cache,
            Places.plain(before),
        )
        cache = jax.tree.map(
            lambda c, x: jax.lax.dynamic_update_slice_in_dim(
                c, x, state.step, axis=2
            ),
            state.cache,
            own,
        )
        token = jnp.where(state.done, eos_ids[0], choose(hidden))
        out = state.tokens.at[:, state.step].set(token)
        return Decoding(state.step + 1, out, state.done | ended(token), cache)

    def going(state: Decoding):
        return (state.step < max_new_tokens) & ~state.done.all()

    begun = Decoding(jnp.int32(1), out, done | ended(token), cache)
    return jax.lax.while_loop(going, step, begun).tokens
