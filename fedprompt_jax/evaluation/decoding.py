"""The loop of greedy decoding: all rows together, until each has ended."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import Bound
from fedprompt_jax.models.attention import KeysValues, Written

# (tokens written so far, the last of them [N, 1], keys and values of those
# before it, with room for max_new_tokens - 1) -> the hidden state after it
# [N, 1, D], and its own keys and values.
Advance = Callable[
    [jax.Array, jax.Array, Written], tuple[jax.Array, KeysValues]
]


class Decoding(NamedTuple):
    """State of a batch that is being continued.

    Attributes:
      step: int32 scalar, tokens written so far.
      tokens: int32 [N, max_new_tokens], `eos` after a row's end.
      done: bool [N], rows that have ended.
      written: [layers, N, ...], of all tokens but the last one, with room for
        max_new_tokens - 1.
    """

    step: jax.Array
    tokens: jax.Array
    done: jax.Array
    written: Written


def write(
    bound: Bound,
    hidden: jax.Array,
    absent: jax.Array,
    like: KeysValues,
    advance: Advance,
    eos_ids: tuple[int, ...],
    max_new_tokens: int,
) -> jax.Array:
    """Output tokens int32 [N, max_new_tokens], the likeliest ones.

    Args:
      bound: the model.
      hidden: [N, 1, D], which the first token is predicted from.
      absent: bool [N], rows that write nothing.
      like: keys and values [layers, N, any, K, h] as `advance` gives them;
        only their shapes and dtypes are read.
      advance: see Advance.
      eos_ids: tokens that end an output.
      max_new_tokens: longest output.
    """
    end, rows = eos_ids[0], len(absent)

    def choose(hidden, done):
        token = jnp.argmax(bound.logits(hidden[:, 0]), axis=-1)
        # A row that has ended writes `eos` until all have.
        return jnp.where(done, end, token.astype(jnp.int32))

    def ended(token):
        return jnp.isin(token, jnp.array(eos_ids))

    def step(state: Decoding) -> Decoding:
        at = state.step
        last = state.tokens[:, at - 1][:, None]  # [N, 1]
        keys, values = state.written
        hidden, new_kv = advance(at, last, state.written)
        key, value = (x[:, :, 0] for x in new_kv)  # [layers, N, K, h]
        token = choose(hidden, state.done)
        return Decoding(
            at + 1,
            state.tokens.at[:, at].set(token),
            state.done | ended(token),
            # Keys and values of `last` go to its column, at - 1.
            Written(
                keys.at[:, :, :, at - 1].set(key),
                values.at[..., at - 1].set(value),
            ),
        )

    def going(state: Decoding):
        return (state.step < max_new_tokens) & ~state.done.all()

    out = jnp.full((rows, max_new_tokens), end, jnp.int32)
    first = choose(hidden, absent)
    if max_new_tokens == 1:
        return first[:, None]
    begun = Decoding(
        jnp.int32(1),
        out.at[:, 0].set(first),
        absent | ended(first),
        _room(like, rows, max_new_tokens - 1),
    )
    return jax.lax.while_loop(going, step, begun).tokens


def _room(like: KeysValues, rows: int, tokens: int) -> Written:
    """Zeros for the keys and values of `tokens` tokens."""
    layers, _, _, heads, size = like[0].shape
    keys = layers, rows, heads, tokens, size
    values = layers, rows, heads, size, tokens
    return Written(
        jnp.zeros(keys, like[0].dtype), jnp.zeros(values, like[1].dtype)
    )
