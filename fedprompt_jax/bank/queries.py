"""What a prompt that depends on the query is made from.

R rows of L tokens; a row has up to G examples, numbered 0 ... G - 1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.data.packing import Grid


class Queries(NamedTuple):
    """The queries of rows, each of which has a single owner.

    Attributes:
      tokens: int [R, L].
      is_query: bool [R, L], whether a token is of a query, and not of a slot,
        a target or padding.
      example: int [R, L], the number of its example in the row.
      owner: int [R].
      most: G.
    """

    tokens: jax.Array
    is_query: jax.Array
    example: jax.Array
    owner: jax.Array
    most: int


def of_grid(grid: Grid, slots: int) -> Queries:
    """The queries of a grid whose every example has `slots` of its own."""
    # An example takes a column for each slot, and one at least of its query.
    most = max(1, grid.tokens.shape[1] // (slots + 1))
    example = jnp.maximum(jnp.asarray(grid.segment) - 1, 0)
    owner = jnp.asarray(grid.owner).max(axis=1, initial=0)
    is_query = jnp.asarray(grid.is_query) == 1
    return Queries(jnp.asarray(grid.tokens), is_query, example, owner, most)


def of_rows(tokens: jax.Array, length: jax.Array) -> Queries:
    """One query a row, int [N, L] padded on the right, of an owner each."""
    is_query = jnp.arange(tokens.shape[1]) < length[:, None]
    owner = jnp.arange(len(tokens))
    return Queries(tokens, is_query, jnp.zeros_like(tokens), owner, 1)


def pooled(x: jax.Array, queries: Queries, how: str) -> jax.Array:
    """f32 [R, G, E]: the mean or the maximum over each query's tokens.

    Args:
      x: input embeddings [R, L, E].
      queries: of the same tokens.
      how: 'mean' or 'max'. It is 0 where there is no query.
    """
    most, x = queries.most, x.astype(jnp.float32)
    # What is of no query goes to one example more, which is dropped.
    example = jnp.where(queries.is_query, queries.example, most)
    ones = jnp.ones_like(example)
    count = _reduced(jax.ops.segment_sum, ones, example, most)  # [R, G]
    if how == 'mean':
        total = _reduced(jax.ops.segment_sum, x, example, most)
        return total / jnp.maximum(count, 1)[..., None]
    highest = _reduced(jax.ops.segment_max, x, example, most)
    return jnp.where((count > 0)[..., None], highest, 0.0)


def _reduced(function, x, example, most: int) -> jax.Array:
    """[R, G, ...] of x [R, L, ...], by the tokens' examples int [R, L]."""

    def row(x, example):
        return function(x, example, num_segments=most + 1)[:-1]

    return jax.vmap(row)(x, example)
