"""Attention's outputs, a block of keys after the other.

FlashAttention (Dao et al. 2022, algorithm 1): the largest score so far and the
sum of the exponentials below it are enough to add another block.
"""

import functools

import jax
from jax.experimental import pallas as pl
import jax.numpy as jnp

from fedprompt_jax.models.kernels import table as table_lib
from fedprompt_jax.models.kernels.scores import LOWEST, Rule, times
from fedprompt_jax.models.kernels.tiles import Tiles
from fedprompt_jax.models.reads import may_read


def forward(
    tiles: Tiles, rule: Rule, table, q, k, v
) -> tuple[jax.Array, jax.Array]:
    """Outputs, and the logarithm of each token's sum of exp(score).

    Args:
      tiles: how the arrays are cut.
      rule: of the scores.
      table: int32 [R, 7 or 9, L], see table.make.
      q: [R, H, L, h] or [R, L, H, h], see Tiles.
      k: the same of K heads.
      v: likewise.

    Returns:
      The outputs, like q, and f32 [R, H, 1, L]. A token that reads nothing
      gets 0 and about -1e30.
    """
    rows, length, heads, width = tiles.sizes(q)
    group = heads // tiles.sizes(k)[2]
    keys = tiles.head(length, width, lambda h: jax.lax.div(h, group))
    sums = jax.ShapeDtypeStruct((rows, heads, 1, length), jnp.float32)
    return tiles.call(
        functools.partial(attention_forward, tiles=tiles, rule=rule),
        (rows, heads, length // tiles.size),
        [tiles.table(table.shape), tiles.block(width), keys, keys],
        [tiles.block(width), tiles.row()],
        [jax.ShapeDtypeStruct(q.shape, q.dtype), sums],
        table,
        q,
        k,
        v,
    )


def attention_forward(table, q, k, v, out, log_sum, *, tiles, rule):
    """The kernel: one block of queries, [size, h], of one head."""
    size, block = tiles.size, pl.program_id(2)
    queries = q[...]
    readers = table_lib.turned(table_lib.reader(table, block, size))

    def step(number, carry):
        """Adds a block of keys."""
        highest, total, mean = carry
        tokens = pl.ds(pl.multiple_of(number * size, size), size)
        read = table_lib.read(table, number, size)
        reads = may_read(readers, read, rule.causal)  # [size, size]
        score = jnp.where(reads, rule.scores(queries, k[tokens, :]), LOWEST)
        # What was added below another highest score counts less.
        new = jnp.maximum(highest, score.max(axis=1, keepdims=True))
        kept = jnp.exp(highest - new)
        weight = jnp.where(reads, jnp.exp(score - new), 0.0)
        total = kept * total + weight.sum(axis=1, keepdims=True)
        return new, total, kept * mean + times(weight, v[tokens, :])

    first, end = table_lib.blocks_read(table, block, size, rule.causal)
    start = (
        jnp.full((size, 1), LOWEST, jnp.float32),
        jnp.zeros((size, 1), jnp.float32),
        jnp.zeros(queries.shape, jnp.float32),
    )
    highest, total, mean = jax.lax.fori_loop(first, end, step, start)
    total = jnp.where(total == 0.0, 1.0, total)  # of a token that reads nothing
    out[...] = (mean / total).astype(out.dtype)
    log_sum[...] = (highest + jnp.log(total)).T
