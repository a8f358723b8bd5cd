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
    length, width = q.shape[1], q.shape[3]
    padded = length + -length % flash.tiles.size
    more = [(0, 0), (0, padded - length), (0, 0), (0, flash.width - width)]
    table = table_lib.make(reads, padded)

    def inside(x):
        x = jnp.pad(x, more)
        return x.swapaxes(1, 2) if flash.tiles.heads_first else x

    out = _attend(flash, table, *map(inside, (q, k, v)))
    out = out.swapaxes(1, 2) if flash.tiles.heads_first else out
    return out[:, :length, :, :width]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(flash: Flash, table, q, k, v):
    return _forward(flash, table, q, k, v)[0]


def _forward(flash: Flash, table, q, k, v):
    h = 1 if flash.tiles.heads_first else 2
    function = functools.partial(forward, flash.tiles, flash.rule)
    call = on_each_device(function, flash.mesh, (None, h, h, h), (h, 1))
    made = by_rows(call)(table, q, k, v)
    # Where a layer's backward pass recomputes it, these two may be kept.
    out, log_sum = checkpoint_name(made, SAVED)
    return out, (table, q, k, v, out, log_sum)


def _backward(flash: Flash, kept, d_out):
    h = 1 if flash.tiles.heads_first else 2
    function = functools.partial(backward, flash.tiles, flash.rule)
    axes = None, h, h, h, h, 1, h
    call = on_each_device(function, flash.mesh, axes, (h, h, h))
    return None, *by_rows(call)(*kept, d_out)


_attend.defvjp(_forward, _backward)
