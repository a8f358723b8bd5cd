"""Attention over packed rows that keeps no scores, with its gradient.

The forward pass keeps its outputs and a number for each token and head; the
backward pass computes the scores again, a block at a time.
"""

import dataclasses
import functools

import jax
from jax.ad_checkpoint import checkpoint_name
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh

from fedprompt_jax.models.kernels import table as table_lib
from fedprompt_jax.models.kernels.backward import backward
from fedprompt_jax.models.kernels.forward import forward
from fedprompt_jax.models.kernels.scores import Rule
from fedprompt_jax.models.kernels.sharded import by_rows, on_each_device
from fedprompt_jax.models.kernels.tiles import Tiles
from fedprompt_jax.models.layers import SAVED
from fedprompt_jax.models.reads import Reads


@dataclasses.dataclass(frozen=True)
class Flash:
    """How attention is computed.

    Attributes:
      tiles: how its arrays are cut.
      rule: of the scores.
      width: head dimension of the kernels; h or more.
      mesh: rows are cut over 'data' and heads over 'model'; None: one device.
    """

    tiles: Tiles
    rule: Rule
    width: int
    mesh: Mesh | AbstractMesh | None


def attend(flash: Flash, q, k, v, reads: Reads) -> jax.Array:
    """Softmax attention over packed rows.

    Args:
      flash: how it is computed.
      q: [R, L, H, h].
      k: [R, L, K, h].
      v: likewise.
      reads: of the R rows.

    Returns:
      [R, L, H, h], 0 for padding and for a token that reads nothing.
    """
    length = q.shape[1]
    padded = length + -length % flash.tiles.size
    return _attend(flash, table_lib.make(reads, padded), q, k, v)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(flash: Flash, table, q, k, v):
    return _forward(flash, table, q, k, v)[0]


def _forward(flash: Flash, table, q, k, v):
    heads = flash.tiles.axis
    call = on_each_device(
        functools.partial(forward, flash.tiles, flash.rule),
        flash.mesh,
        (None, heads, heads, heads),
        (heads, 1),
    )
    given = [_inside(flash, x, table.shape[2]) for x in (q, k, v)]
    out, log_sum = by_rows(call)(table, *given)
    out = _outside(flash, out, q)
    # As [R, L, H * h]: a TPU would store heads of 64 numbers as 128. Where a
    # layer's backward pass recomputes it, the names let them be kept.
    kept = [x.reshape(*x.shape[:2], -1) for x in (q, k, v, out)]
    return out, (table, *checkpoint_name((*kept, log_sum), SAVED))


def _backward(flash: Flash, kept, d_out):
    table, *flat, log_sum = kept
    *args, out = (x.reshape(*x.shape[:2], -1, d_out.shape[3]) for x in flat)
    heads = flash.tiles.axis
    call = on_each_device(
        functools.partial(backward, flash.tiles, flash.rule),
        flash.mesh,
        (None, heads, heads, heads, heads, heads, 1),
        (heads, heads, heads),
    )
    given = [_inside(flash, x, table.shape[2]) for x in (*args, out, d_out)]
    made = by_rows(call)(table, *given, log_sum)
    return None, *(
        _outside(flash, x, like) for x, like in zip(made, args, strict=True)
    )


def _inside(flash: Flash, x, length: int) -> jax.Array:
    """Heads [R, L, H, h] as the kernels read them: padded, perhaps turned."""
    more = length - x.shape[1], flash.width - x.shape[3]
    x = jnp.pad(x, [(0, 0), (0, more[0]), (0, 0), (0, more[1])])
    return x.swapaxes(1, 2) if flash.tiles.heads_first else x


def _outside(flash: Flash, x, like) -> jax.Array:
    """What the kernels made, as the heads [R, L, H, h] of `like`."""
    x = x.swapaxes(1, 2) if flash.tiles.heads_first else x
    return x[:, : like.shape[1], :, : like.shape[3]]


_attend.defvjp(_forward, _backward)
