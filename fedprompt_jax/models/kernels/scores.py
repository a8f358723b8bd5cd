"""The scores of a block of queries and a block of keys, and their weights."""

import dataclasses

import jax
import jax.numpy as jnp

from fedprompt_jax.models.layers import soft_cap
from fedprompt_jax.models.reads import Read, Reader, may_read

LOWEST = -1e30  # the score of a token that is not read; never -inf - -inf


@dataclasses.dataclass(frozen=True)
class Rule:
    """What becomes of q · k.

    Attributes:
      scale: of the scores.
      cap: they become cap * tanh(score / cap); 0 for none.
      causal: whether a token reads no later one.
    """

    scale: float
    cap: float
    causal: bool

    def scores(self, queries, keys) -> jax.Array:
        """f32 [a, b] of queries [a, h] and keys [b, h], or the other way."""
        return soft_cap(times_turned(queries, keys) * self.scale, self.cap)

    def through(self, score, gradient) -> jax.Array:
        """The gradient of q · k from that of its score."""
        if self.cap:
            gradient *= 1 - (score / self.cap) ** 2
        return gradient * self.scale

    def weights(self, score, log_sum, q: Reader, k: Read) -> jax.Array:
        """exp(score) / sum of exp: what softmax gives, f32 like score."""
        weight = jnp.exp(score - log_sum)
        return jnp.where(may_read(q, k, self.causal), weight, 0.0)


def times_turned(a, b) -> jax.Array:
    """f32 [m, n]: a [m, h] times the transpose of b [n, h]."""
    return _product(a, b, 1)


def times(a, b) -> jax.Array:
    """f32 [m, h]: a [m, n], rounded as b is, times b [n, h]."""
    return _product(a.astype(b.dtype), b, 0)


def _product(a, b, axis: int) -> jax.Array:
    return jax.lax.dot_general(
        a,
        b,
        (((1,), (axis,)), ((), ())),
        preferred_element_type=jnp.float32,
    )
