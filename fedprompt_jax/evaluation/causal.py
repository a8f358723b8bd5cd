"""Greedy generation by a causal model, behind cached virtual tokens."""

import functools

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.queries import of_rows
from fedprompt_jax.evaluation import decoding
from fedprompt_jax.models.attention import KeysValues
from fedprompt_jax.models.grouped import one_owner_a_row
from fedprompt_jax.models.layers import Places


@functools.partial(jax.jit, static_argnames='model')
def prompt_cache(
    model: TunedModel,
    base,
    bank,
    tokens: jax.Array | None = None,
    length: jax.Array | None = None,
) -> KeysValues:
    """Keys and values of each owner's slots, [layers, C, P, K, h] each.

    Args:
      model: the language model.
      base: its parameters.
      bank: trained parameters of C owners, leaves [C, ...].
      tokens: int32 [C, L], a query of each owner, where the kind reads it.
      length: int32 [C], theirs.
    """
    owners, slots = len(jax.tree.leaves(bank)[0]), model.kind.slots
    mask = jnp.tril(jnp.ones((owners, slots, slots), bool))
    bound = model.bind_groups(base, one_owner_a_row(bank))
    if tokens is not None and length is not None:
        # One query a row: its prompt is that of the row's owner.
        bound = bound.with_queries(of_rows(tokens, length))
        bound = bound._replace(prompt_of=None)
    nothing = jnp.zeros((owners, slots), jnp.int32)
    return bound.hidden_states(nothing, _slots(owners, slots), mask)[1]


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
    bound = model.bind_groups(base, one_owner_a_row(bank))
    slots = model.kind.slots
    # 1. The queries, behind their owners' cached slots.
    rows, padded = tokens.shape
    first, end = model.kind.first_position, length[:, None]
    slot_places = _slots(rows, slots)
    column = jnp.broadcast_to(jnp.arange(padded), tokens.shape)
    query_places = _tokens(first + column)

    # Query token q reads all slots and the query up to q: [L, P + L].
    mask = jnp.tril(jnp.ones((padded, slots + padded), bool), slots)
    mask = jnp.broadcast_to(mask, (rows, *mask.shape))
    hidden, queries = bound.hidden_states(
        tokens, query_places, mask, [past], slot_places
    )
    # The state of each query's last token, behind which padding lies.
    last = jnp.maximum(end - 1, 0)[..., None]  # [N, 1, 1]
    hidden = jnp.take_along_axis(hidden, last, axis=1)  # [N, 1, D]

    # 2. Places of everything that an output token may read: slots, the padded
    # query, the outputs before it: [N, P + L + max_new_tokens - 1].
    # Positions of outputs continue where the query ended; columns do not.
    output = jnp.indices((rows, max_new_tokens - 1))[1]
    all_places = jax.tree.map(
        lambda *x: jnp.concatenate(x, axis=1),
        slot_places,
        query_places,
        _tokens(first + end + output),
    )

    # A step reads one token of each row.
    moving = model.for_few_tokens().bind_groups(base, one_owner_a_row(bank))

    def advance(step, last, written):
        seen = [
            jnp.ones((rows, slots), bool),
            column < end,  # no padding of the query
            output < step - 1,  # outputs whose keys are written
            jnp.ones((rows, 1), bool),  # the last output itself
        ]
        return moving.hidden_states(
            last,
            _tokens(first + end + step - 1),
            jnp.concatenate(seen, axis=1)[:, None],
            [past, queries, written],
            all_places,
        )

    return decoding.write(
        moving, hidden, length == 0, queries, advance, eos_ids, max_new_tokens
    )


def _slots(rows: int, slots: int) -> Places:
    """The places of prompt slots [N, P] of each row's only owner."""
    owner = jnp.zeros((rows, slots), jnp.int32)
    slot = jnp.broadcast_to(jnp.arange(slots), owner.shape)
    return Places(slot, owner, slot)


def _tokens(position: jax.Array) -> Places:
    """The places of ordinary tokens [N, n] of each row's only owner."""
    owner = jnp.zeros_like(position)
    return Places(position, owner, jnp.full_like(position, -1))
