"""The numbers of a row's tokens, as a kernel reads them: a row a number.

A kernel works on blocks of tokens. Of each token the table also says between
which columns its owner's tokens lie: no other block has anything that it
reads, or that reads it.
"""

import jax
from jax.experimental import pallas as pl
import jax.numpy as jnp

from fedprompt_jax.models.reads import HIDDEN, Read, Reader, Reads

# Rows of the table; the last two only where layers are local.
SEGMENT, QUERY, OWNER, OWN, SHARED, BEGIN, END, LEAST, POSITION = range(9)
_NOBODY = HIDDEN - 1  # reads nothing, not even what is HIDDEN


def make(reads: Reads, length: int) -> jax.Array:
    """int32 [R, 7 or 9, length]: the rows' numbers, padded to `length`.

    Padding reads nothing here, and no block is computed for padding alone.

    Args:
      reads: of R rows of at most `length` tokens.
      length: a multiple of the tokens of a block.
    """
    q, k = reads.reader, reads.read
    begin, end = _bounds(q.owner, length)
    rows = [
        (q.segment, _NOBODY),
        (q.query, _NOBODY),
        (q.owner, _NOBODY),
        (k.segment, HIDDEN),
        (k.shared, HIDDEN),
        (begin, length),
        (end, 0),
    ]
    if q.least is not None and k.position is not None:
        rows += [(q.least, 0), (k.position, 0)]
    more = ((0, 0), (0, length - q.owner.shape[1]))
    return jnp.stack(
        [jnp.pad(x, more, constant_values=fill) for x, fill in rows], axis=1
    )


def _bounds(owner: jax.Array, length: int) -> tuple[jax.Array, jax.Array]:
    """The columns [begin, end) of each token's owner, int [R, L] each.

    Empty for padding: [length, 0).
    """
    column = jnp.broadcast_to(jnp.arange(owner.shape[1]), owner.shape)
    edge = jnp.full_like(owner[:, :1], HIDDEN)
    before = jnp.concatenate([edge, owner[:, :-1]], axis=1)
    after = jnp.concatenate([owner[:, 1:], edge], axis=1)
    begin = jax.lax.cummax(jnp.where(owner != before, column, 0), axis=1)
    end = jax.lax.cummin(
        jnp.where(owner != after, column + 1, length), axis=1, reverse=True
    )
    padding = owner < 0
    return jnp.where(padding, length, begin), jnp.where(padding, 0, end)


def reader(table, block, size: int) -> Reader:
    """The tokens of a block as those that read, int32 [1, size] each.

    Args:
      table: reference to a row's numbers, [7 or 9, L].
      block: number of the block, from 0.
      size: tokens of a block.
    """
    local = table.shape[0] > LEAST
    return Reader(
        _row(table, SEGMENT, block, size),
        _row(table, QUERY, block, size),
        _row(table, OWNER, block, size),
        _columns(block, size),
        _row(table, LEAST, block, size) if local else None,
    )


def read(table, block, size: int) -> Read:
    """The tokens of a block as those that are read; see reader."""
    local = table.shape[0] > LEAST
    return Read(
        _row(table, OWN, block, size),
        _row(table, SHARED, block, size),
        _columns(block, size),
        _row(table, POSITION, block, size) if local else None,
    )


def turned(tokens):
    """The fields [1, size] of tokens as [size, 1]."""
    return jax.tree.map(jnp.transpose, tokens)


def blocks_read(table, block, size: int, causal: bool):
    """The first and the last block, plus one, that a block's tokens read."""
    first, end = _blocks(table, block, size)
    return first, (jnp.minimum(end, block + 1) if causal else end)


def blocks_that_read(table, block, size: int, causal: bool):
    """The first and the last block, plus one, that read a block's tokens."""
    first, end = _blocks(table, block, size)
    return (jnp.maximum(first, block) if causal else first), end


def _blocks(table, block, size: int):
    """The blocks [first, end) of the owners of a block's tokens."""
    begin = _row(table, BEGIN, block, size).astype(jnp.float32).min()
    end = _row(table, END, block, size).astype(jnp.float32).max()
    # Not `//`: Mosaic would look for a TPU on this machine.
    first = jax.lax.div(begin.astype(jnp.int32), size)
    return first, jax.lax.div(end.astype(jnp.int32) + (size - 1), size)


def _row(table, number: int, block, size: int) -> jax.Array:
    """int32 [1, size]: one number of a block's tokens."""
    start = pl.multiple_of(block * size, size)
    return table[pl.ds(number, 1), pl.ds(start, size)]


def _columns(block, size: int) -> jax.Array:
    inside = jax.lax.broadcasted_iota(jnp.int32, (1, size), 1)
    return block * size + inside
