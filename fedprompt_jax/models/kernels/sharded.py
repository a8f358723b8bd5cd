"""Calls of a kernel on the rows and heads of each device of a mesh.

XLA does not know that a kernel computes each row and each head by itself: left
to itself it would bring all of them to every device.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh
from jax.sharding import PartitionSpec as P


def by_rows(function: Callable) -> Callable:
    """The function, for which jax.vmap makes more rows of what it maps over.

    All of its arguments and results are arrays [R, ...].
    """
    call = jax.custom_batching.custom_vmap(function)

    @call.def_vmap
    def mapped(size, is_mapped, *arrays):
        def folded(x, is_mapped):
            if not is_mapped:
                x = jnp.broadcast_to(x, (size, *x.shape))
            return x.reshape(-1, *x.shape[2:])

        made = call(*map(folded, arrays, is_mapped))
        made = jax.tree.map(lambda x: x.reshape(size, -1, *x.shape[1:]), made)
        return made, jax.tree.map(lambda _: True, made)

    return call


def on_each_device(
    function: Callable,
    mesh: Mesh | AbstractMesh | None,
    axes: tuple[int | None, ...],
    made: tuple[int, ...],
) -> Callable:
    """The function of arrays [R, ...], called on each device's part of them.

    Args:
      function: computes each row and each head by itself.
      mesh: ('data', 'model'); None: there is one device.
      axes: of each argument, the axis of its heads, or None.
      made: likewise of each result.
    """
    if mesh is None:
        return function

    def call(*arrays):
        rows, sizes = len(arrays[0]), dict(mesh.shape)
        data = 'data' if rows % sizes['data'] == 0 else None
        pairs = zip(arrays, axes, strict=True)
        heads = [x.shape[a] for x, a in pairs if a is not None]
        # Queries and keys have numbers of heads of their own.
        model = not any(n % sizes['model'] for n in heads)

        def spec(axis):
            if axis is None or not model:
                return P(data)
            return P(data, *[None] * (axis - 1), 'model')

        return jax.shard_map(
            function,
            mesh=mesh,
            in_specs=tuple(map(spec, axes)),
            out_specs=tuple(map(spec, made)),
            check_vma=False,
        )(*arrays)

    return call
