"""Greedy generation by a decoder that reads an encoder's output.

The encoder reads each query behind its owner's virtual tokens once, and the
keys and values that the decoder makes of its output are cached. A prompt reads
the text, so that nothing of it can be shared between queries.
"""

import functools

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.queries import of_rows
from fedprompt_jax.evaluation import decoding
from fedprompt_jax.models.attention import Memory
from fedprompt_jax.models.grouped import one_owner_a_row
from fedprompt_jax.models.layers import Places


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
    bound = model.bind_groups(base, one_owner_a_row(bank))
    slots = model.kind.slots
    bound = bound.with_queries(of_rows(tokens, length))
    bound = bound._replace(prompt_of=None)  # that of the row's owner
    rows, padded = tokens.shape
    first = model.kind.first_position
    column = jnp.broadcast_to(
        jnp.arange(slots + padded), (rows, slots + padded)
    )
    owner = jnp.zeros_like(column)  # each row's only one
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
        seen = there & (~is_slot | model.kind.attends_to_text)
        return Memory(hidden, owner, seen[:, None])

    def at(position) -> Places:
        return Places(position, owner[:, :1], jnp.full((rows, 1), -1))

    memory = encoded()
    start = jnp.full((rows, 1), bound.transformer.config.start_token)
    alone = jnp.ones((rows, 1, 1), bool)
    now = at(jnp.zeros((rows, 1), int))
    hidden, new_kv, known = bound.decode(start, now, alone, memory)
    memory = memory._replace(hidden=None)  # its keys and values are known
    column = jnp.arange(max_new_tokens)  # the start token's is 0
    before = Places.plain(jnp.broadcast_to(column, (rows, max_new_tokens)))

    # A step reads one token of each row.
    moving = model.for_few_tokens().bind_groups(base, one_owner_a_row(bank))

    def advance(step, last, written):
        mask = jnp.append(column < step, True)
        mask = jnp.broadcast_to(mask, (rows, 1, len(mask)))
        here, past = at(jnp.full((rows, 1), step)), [new_kv, written]
        return moving.decode(last, here, mask, memory, known, past, before)[:2]

    return decoding.write(
        moving, hidden, length == 0, new_kv, advance, eos_ids, max_new_tokens
    )
