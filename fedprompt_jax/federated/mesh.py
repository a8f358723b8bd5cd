"""Where arrays live: rows over `data`, the base over `model`.

The bank is small and stays replicated; XLA sums its gradient over the mesh.
"""

from collections.abc import Callable
import re

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.sizes import param_shapes

# Path of a base leaf -> how it is cut over 'model'. The first match counts;
# what matches nothing is replicated. Kernels of layers are [layers, in, out].
RULES: tuple[tuple[str, PartitionSpec], ...] = (
    (
        r'(query|key|value|qkv|gate|up)/kernel$',
        PartitionSpec(None, None, 'model'),
    ),
    (r'(query|key|value|qkv|gate|up)/bias$', PartitionSpec(None, 'model')),
    (r'(output|down)/kernel$', PartitionSpec(None, 'model', None)),
    (r'^embed/embedding$', PartitionSpec('model', None)),
    (r'head/kernel$', PartitionSpec(None, 'model')),
)


def check_devices(data: int, model: int) -> None:
    """Raises ValueError if data * model is not the number of devices."""
    have = jax.device_count()
    if data * model != have:
        raise ValueError(
            f'config.mesh.data={data} times config.mesh.model={model} must be '
            f'the number of devices, {have}; use --config.mesh.data='
            f'{max(1, have // model)}.'
        )


def make_mesh(data: int, model: int) -> Mesh:
    """A mesh ('data', 'model') over all devices; see check_devices."""
    check_devices(data, model)
    return jax.make_mesh(
        (data, model), ('data', 'model'), axis_types=(AxisType.Auto,) * 2
    )


def base_sharding(
    mesh: Mesh, config: ModelConfig
) -> Callable[[str], NamedSharding]:
    """Path of a base leaf, such as 'layers/mlp/up/kernel' -> its sharding.

    A leaf whose axis `model` does not divide stays whole.
    """
    shapes = param_shapes(config)

    def sharding(path: str) -> NamedSharding:
        found = (spec for rule, spec in RULES if re.search(rule, path))
        spec = next(found, PartitionSpec())
        fits = all(
            axis is None or shapes[path][i] % mesh.shape[axis] == 0
            for i, axis in enumerate(spec)
        )
        return NamedSharding(mesh, spec if fits else PartitionSpec())

    return sharding


def put_rows(mesh: Mesh) -> Callable:
    """Places host arrays whose leading axis is rows, cut over 'data'.

    Arrays whose rows `data` does not divide are placed whole everywhere.
    """

    def put(x):
        fits = x.ndim and x.shape[0] % mesh.shape['data'] == 0
        spec = PartitionSpec('data') if fits else PartitionSpec()
        return jax.device_put(x, NamedSharding(mesh, spec))

    return lambda tree: jax.tree.map(put, tree)


def put_replicated(mesh: Mesh) -> Callable:
    """Places a tree whole on every device."""
    sharding = NamedSharding(mesh, PartitionSpec())
    return lambda tree: jax.device_put(tree, sharding)
