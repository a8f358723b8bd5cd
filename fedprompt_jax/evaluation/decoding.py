"""The loop of greedy decoding: all rows together, until each has ended."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.models.attention import KeysValues
from fedprompt_jax.peft.tuned import Bound

# (tokens written so far, the last of them [N, 1], the cache) -> the hidden
# state after it [N, 1, D], and the cache with it.
Advance = Callable[
    [jax.Array, jax.Array, KeysValues], tuple[jax.Array, KeysValues]
]


class Decoding(NamedTuple):
    """State of a batch that is being continued.

    Attributes:
      step: int32 scalar, tokens written so far.
      tokens: int32 [N, max_new_tokens], `eos` after a row's end.
      done: bool [N], rows that have ended.
      cache: keys and values [layers, N, M, K, h] of all that is read.
    """

    step: jax.Array
    tokens: jax.Array
    done: jax.Array
    cache: KeysValues


def write(
    bound: Bound,
    hidden: jax.Array,
    absent: jax.Array,
    cache: KeysValues,
    advance: Advance,
    eos_ids: tuple[int, ...],
    max_new_tokens: int,
) -> jax.Array:
    """Output tokens int32 [N, max_new_tokens], the likeliest ones.

    Args:
      bound: the model.
      hidden: [N, 1, D], which the first token is predicted from.
      absent: bool [N], rows that write nothing.
      cache: keys and values [layers, N, M, K, h], with room for the outputs.
      advance: see Advance.
      eos_ids: tokens that end an output.
      max_new_tokens: longest output.
    """
    end = eos_ids[0]

    def choose(hidden, done):
        token = jnp.argmax(bound.logits(hidden[:, 0]), axis=-1)
        return jnp.where(done, end, token.astype(jnp.int32))

    def ended(token):
        return jnp.isin(token, jnp.array(eos_ids))

    def step(state: Decoding) -> Decoding:
        last = state.tokens[:, state.step - 1][:, None]
        hidden, cache = advance(state.step, last, state.cache)
        token = choose(hidden, state.done)
        out = state.tokens.at[:, state.step].set(token)
        return Decoding(state.step + 1, out, state.done | ended(token), cache)

    def going(state: Decoding):
        return (state.step < max_new_tokens) & ~state.done.all()

    out = jnp.full((len(absent), max_new_tokens), end, jnp.int32)
    first = choose(hidden, absent)
    begun = Decoding(
        jnp.int32(1), out.at[:, 0].set(first), absent | ended(first), cache
    )
    return jax.lax.while_loop(going, step, begun).tokens


def with_room(cache: KeysValues, columns: int) -> KeysValues:
    """The cache with empty columns behind it."""
    room = [(0, 0), (0, 0), (0, columns), (0, 0), (0, 0)]
    return jax.tree.map(lambda x: jnp.pad(x, room), cache)


def put(cache: KeysValues, own: KeysValues, column) -> KeysValues:
    """The cache with the keys and values of one token in a column."""
    return jax.tree.map(
        lambda c, x: jax.lax.dynamic_update_slice_in_dim(c, x, column, axis=2),
        cache,
        own,
    )
