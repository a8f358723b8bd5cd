"""The gradients of attention, from its outputs and the sums of its scores.

FlashAttention (Dao et al. 2022, algorithm 4): weights are computed again, block
by block. With S the scores, P the weights and O the outputs,

    dV = Pᵀ dO    dP = dO Vᵀ    dS = P ∘ (dP - sum(dO ∘ O))
    dQ = dS K     dK = dSᵀ Q
"""

import functools

import jax
from jax.experimental import pallas as pl
import jax.numpy as jnp

from fedprompt_jax.models.kernels import table as table_lib
from fedprompt_jax.models.kernels.scores import Rule, times, times_turned
from fedprompt_jax.models.kernels.tiles import Tiles


def backward(
    tiles: Tiles, rule: Rule, table, q, k, v, out, d_out, log_sum
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The gradients of q, k and v.

    Args:
      tiles: see forward.forward, as are rule, table, q, k and v.
      out: what that returned.
      d_out: the gradient of that.
      log_sum: what it returned besides.
    """
    rows, length, heads, width = tiles.sizes(q)
    kv_heads = tiles.sizes(k)[2]
    group, blocks = heads // kv_heads, length // tiles.size
    # f32 [R, H, 1, L]: each token's sum(dO ∘ O).
    both = out.astype(jnp.float32) * d_out.astype(jnp.float32)
    inner = both.sum(axis=-1)
    inner = inner if tiles.heads_first else inner.swapaxes(1, 2)
    given = table, q, k, v, d_out, log_sum, inner[:, :, None]
    numbers, block, row = (
        tiles.table(table.shape), tiles.block(width), tiles.row(),
    )  # fmt: skip

    keys = tiles.head(length, width, lambda h: jax.lax.div(h, group))
    d_q = tiles.call(
        functools.partial(attention_d_queries, tiles=tiles, rule=rule),
        (rows, heads, blocks),
        [numbers, block, keys, keys, block, row, row],
        block,
        jax.ShapeDtypeStruct(q.shape, q.dtype),
        *given,
    )
    queries = tiles.group(group, length, width)
    group_row = tiles.group_row(group, length)
    like_k = jax.ShapeDtypeStruct(k.shape, k.dtype)
    d_k, d_v = tiles.call(
        functools.partial(
            attention_d_keys, tiles=tiles, rule=rule, group=group
        ),
        (rows, kv_heads, blocks),
        [numbers, queries, block, block, queries, group_row, group_row],
        [block, block],
        [like_k, like_k],
        *given,
    )
    return d_q, d_k, d_v


def attention_d_queries(
    table, q, k, v, d_out, log_sum, inner, d_q, *, tiles, rule
):
    """The kernel of dQ: one block of queries, [size, h], of one head."""
    size, block = tiles.size, pl.program_id(2)
    queries, d_outs = q[...], d_out[...]
    log_sums, inners = log_sum[...].T, inner[...].T  # [size, 1]
    readers = table_lib.turned(table_lib.reader(table, block, size))

    def step(number, total):
        tokens = pl.ds(pl.multiple_of(number * size, size), size)
        keys, read = k[tokens, :], table_lib.read(table, number, size)
        score = rule.scores(queries, keys)  # [queries, keys]
        weight = rule.weights(score, log_sums, readers, read)
        d_score = weight * (times_turned(d_outs, v[tokens, :]) - inners)
        return total + times(rule.through(score, d_score), keys)

    first, end = table_lib.blocks_read(table, block, size, rule.causal)
    start = jnp.zeros(queries.shape, jnp.float32)
    d_q[...] = jax.lax.fori_loop(first, end, step, start).astype(d_q.dtype)


def attention_d_keys(
    table, q, k, v, d_out, log_sum, inner, d_k, d_v, *, tiles, rule, group
):
    """The kernel of dK and dV: one block of keys, [size, h], of a key head.

    Scores are turned: [keys, queries].
    """
    size, block = tiles.size, pl.program_id(2)
    keys, values = k[...], v[...]
    read = table_lib.turned(table_lib.read(table, block, size))
    first, end = table_lib.blocks_that_read(table, block, size, rule.causal)

    def of_head(head, totals):
        def step(number, totals):
            tokens = pl.ds(pl.multiple_of(number * size, size), size)
            queries = tiles.of_group(q, head, tokens)
            d_outs = tiles.of_group(d_out, head, tokens)
            readers = table_lib.reader(table, number, size)
            score = rule.scores(keys, queries)
            log_sums, inners = log_sum[head, :, tokens], inner[head, :, tokens]
            weight = rule.weights(score, log_sums, readers, read)
            d_score = weight * (times_turned(values, d_outs) - inners)
            d_keys, d_values = totals
            return (
                d_keys + times(rule.through(score, d_score), queries),
                d_values + times(weight, d_outs),
            )

        return jax.lax.fori_loop(first, end, step, totals)

    start = jnp.zeros(keys.shape, jnp.float32)
    d_keys, d_values = jax.lax.fori_loop(0, group, of_head, (start, start))
    d_k[...] = d_keys.astype(d_k.dtype)
    d_v[...] = d_values.astype(d_v.dtype)
