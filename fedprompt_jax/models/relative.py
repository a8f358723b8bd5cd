"""T5's relative positions: distances fall into buckets (Raffel et al. 2020)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np


@functools.cache
def _bucket_of_distance(buckets: int, farthest: int) -> np.ndarray:
    """int32 [farthest + 1]: exact up to half the buckets, then logarithmic."""
    exact = buckets // 2
    distance = np.arange(farthest + 1)
    # In f32, whose rounding decides at the bounds, as in the reference.
    ratio = np.maximum(distance, 1).astype(np.float32) / np.float32(exact)
    share = np.log(ratio) / np.float32(math.log(farthest / exact))
    far = exact + (share * np.float32(buckets - exact)).astype(np.int32)
    far = np.minimum(far, buckets - 1)
    return np.where(distance < exact, distance, far).astype(np.int32)


def bucket(
    query: jax.Array, key: jax.Array, buckets: int, farthest: int, causal: bool
) -> jax.Array:
    """The row of the table for every pair of positions, int [R, L, S].

    Args:
      query: int [R, L] positions of the tokens that read.
      key: int [R, S] positions of those that are read.
      buckets: rows of the table; half of them are for later keys, unless
        it is causal.
      farthest: the distance from which all are one bucket.
      causal: later keys are at distance 0: they are never read.
    """
    ahead = key[:, None, :] - query[:, :, None]
    if not causal:
        buckets //= 2
    distance = jnp.maximum(-ahead, 0) if causal else jnp.abs(ahead)
    table = jnp.asarray(_bucket_of_distance(buckets, farthest))
    row = table[jnp.minimum(distance, farthest)]
    return row if causal else row + jnp.where(ahead > 0, buckets, 0)
