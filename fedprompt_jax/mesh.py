"""Where arrays live: rows over `data`, the base over `model`.

The bank is small and stays replicated; XLA sums its gradient over the mesh.
The mesh may span the devices of several processes. Each process then holds the
part of an array that is on its devices, and provides that part alone.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import re

import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
from jax.sharding import (
    AbstractMesh,
    AxisType,
    Mesh,
    NamedSharding,
    PartitionSpec,
)
import numpy as np

# Path of a base leaf -> how it is cut over 'model', and over 'data' as well
# where the mesh is fully sharded (FSDP). The first match counts; what matches
# nothing is replicated. Kernels of layers are [layers, in, out].
RULES: tuple[tuple[str, PartitionSpec], ...] = (
    (
        r'(query|key|value|qkv|gate|up)/kernel$',
        PartitionSpec(None, 'data', 'model'),
    ),
    (
        r'(query|key|value|qkv|gate|up)/(bias|scale)$',
        PartitionSpec(None, 'model'),
    ),
    (r'(output|down)/kernel$', PartitionSpec(None, 'model', 'data')),
    (r'^embed/embedding$', PartitionSpec('model', 'data')),
    (r'head/kernel$', PartitionSpec('data', 'model')),
)


def check_devices(data: int, model: int) -> None:
    """Raises ValueError if data * model is not the number of devices."""
    have = jax.device_count()
    if data * model != have:
        fits = model if have % model == 0 else 1
        raise ValueError(
            f'config.mesh.data={data} times config.mesh.model={model} must be '
            f'the number of devices, {have}; use '
            f'--config.mesh.data={have // fits} --config.mesh.model={fits}.'
        )


def make_mesh(
    data: int, model: int, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh ('data', 'model') over all devices.

    Args:
      data: devices among which rows are divided.
      model: devices among which the base is divided.
      devices: those of the mesh, data * model of them, where they are not
        JAX's own: a program can be compiled for devices of another machine.

    Raises:
      ValueError: data * model is not the number of JAX's own devices.
    """
    if devices is None:
        check_devices(data, model)
    return jax.make_mesh(
        (data, model),
        ('data', 'model'),
        axis_types=(AxisType.Auto,) * 2,
        devices=devices,
    )


def base_sharding(
    mesh: Mesh | AbstractMesh,
    leaves: Mapping[str, jax.ShapeDtypeStruct],
    fsdp: bool = False,
) -> Callable[[str], NamedSharding]:
    """A function: path of a base leaf -> its sharding.

    Args:
      mesh: of make_mesh.
      leaves: path, such as 'layers/mlp/up/kernel' -> shape of the leaf; see
        sizes.base_leaves.
      fsdp: see cut.
    """

    def sharding(path: str) -> NamedSharding:
        spec = cut(path, leaves[path].shape, dict(mesh.shape), fsdp)
        return NamedSharding(mesh, spec)

    return sharding


def cut(
    path: str, shape: Sequence[int], sizes: Mapping[str, int], fsdp: bool
) -> PartitionSpec:
    """The PartitionSpec by which a base leaf is cut over axes of these sizes.

    A dimension that its axis does not divide stays whole.

        >>> tuple(cut('head/kernel', (6, 8), {'data': 2, 'model': 4}, True))
        ('data', 'model')
        >>> tuple(cut('head/kernel', (6, 9), {'data': 2, 'model': 4}, True))
        ('data', None)

    Args:
      path: path of the leaf, such as 'layers/mlp/up/kernel'.
      shape: shape of the leaf.
      sizes: axis -> number of devices along it.
      fsdp: whether it is cut over 'data' too; each layer is then gathered
        while it is computed.
    """
    specs = (spec for rule, spec in RULES if re.search(rule, path))
    spec = next(specs, PartitionSpec())
    return PartitionSpec(
        *(
            axis
            if axis is not None
            and (fsdp or axis != 'data')
            and shape[i] % sizes[axis] == 0
            else None
            for i, axis in enumerate(spec)
        )
    )


@dataclasses.dataclass(frozen=True)
class Gather:
    """Gathers the variables of a layer over 'data' (FSDP).

    Without it XLA might move the rows to the kernels instead.
    """

    mesh: Mesh | AbstractMesh

    def __call__(self, variables):
        """A layer's variables, cut over 'model' alone."""
        return jax.tree_util.tree_map_with_path(self._layer, variables)

    def tables(self, base):
        """The base, its leaves outside of layers cut over 'model' alone."""
        return jax.tree_util.tree_map_with_path(self._table, base)

    def states(self, x):
        """Hidden states, which stay with their rows."""
        return x

    def tokens_instead(self) -> 'GatherTokens':
        """What brings the tokens to the parameters instead."""
        return GatherTokens(self.mesh)

    def _layer(self, keys, x):
        path = _path(keys)
        # One layer's leaf lacks the axis of layers, with which RULES begin.
        spec = cut(path, (1, *x.shape), dict(self.mesh.shape), fsdp=False)
        return self._placed(x, PartitionSpec(*spec[1:]))

    def _table(self, keys, x):
        path = _path(keys)
        if 'layers/' in path:
            return x
        return self._placed(x, cut(path, x.shape, dict(self.mesh.shape), False))

    def _placed(self, x, spec: PartitionSpec):
        return jax.lax.with_sharding_constraint(
            x, NamedSharding(self.mesh, spec)
        )


@dataclasses.dataclass(frozen=True)
class Copies:
    """Gives each device that has rows of its own a copy of the bank.

    The copies' gradients are those of a device's rows. The sum over devices is
    that of the copies' axis, behind all layers. Of one bank, each layer of the
    backward pass would sum its part by itself.

    Attributes:
      mesh: ('data', 'model').
    """

    mesh: Mesh | AbstractMesh

    def __call__(self, bank, rows: int):
        """Leaves [G, C, ...], G copies of a bank with leaves [C, ...].

        Args:
          bank: whole on every device.
          rows: R. G is 1 where they are not cut over 'data', see row_sharding.
        """
        sharding = row_sharding(self.mesh, rows)
        cut = sharding.spec == PartitionSpec('data')
        groups = self.mesh.shape['data'] if cut else 1

        def copy(x):
            x = jnp.broadcast_to(x, (groups, *x.shape))
            return jax.lax.with_sharding_constraint(x, sharding)

        return jax.tree.map(copy, bank)


def copies(mesh: Mesh | AbstractMesh) -> Copies | None:
    """Copies on a mesh that has several devices for rows; else None."""
    return Copies(mesh) if mesh.shape['data'] > 1 else None


@dataclasses.dataclass(frozen=True)
class GatherTokens:
    """Sends hidden states over 'data', where Gather would send parameters.

    Each device multiplies the states of all rows by its part of a kernel. That
    is less to send where a call has fewer tokens than a kernel has rows.

    Attributes:
      mesh: ('data', 'model').
    """

    mesh: Mesh | AbstractMesh

    def __call__(self, variables):
        """A layer's variables, which stay where they are."""
        return variables

    def tables(self, base):
        """The base, which stays where it is."""
        return base

    def states(self, x):
        """Hidden states [R, L, D] of all rows, D cut like kernels [D, out]."""
        fits = x.shape[-1] % self.mesh.shape['data'] == 0
        spec = PartitionSpec(None, None, 'data' if fits else None)
        sharding = NamedSharding(self.mesh, spec)
        return jax.lax.with_sharding_constraint(x, sharding)

    def tokens_instead(self) -> 'GatherTokens':
        """The same."""
        return self


def _path(keys) -> str:
    return '/'.join(str(key.key) for key in keys)


@dataclasses.dataclass(frozen=True)
class Devices:
    """Places arrays on all devices of a run.

    Attributes:
      mesh: of make_mesh.
    """

    mesh: Mesh

    def rows(self, tree):
        """Places host arrays [R, ...] on the devices, R cut over 'data'.

        An array whose R `data` does not divide is placed whole everywhere. A
        process need not fill the rows of other processes (see my_rows): its
        values there are never read.
        """

        def place(x):
            rows = x.shape[0] if x.ndim else 0
            return _place(x, row_sharding(self.mesh, rows))

        return jax.tree.map(place, tree)

    def my_rows(self, rows: int) -> np.ndarray:
        """Which of an array's rows `rows` places in this process, bool [R]."""
        mine = np.zeros(rows, bool)
        sharding = row_sharding(self.mesh, rows)
        for place in sharding.addressable_devices_indices_map((rows,)).values():
            mine[place] = True
        return mine

    def replicate(self, tree):
        """Places a tree whole on every device; all processes have all of it."""
        sharding = NamedSharding(self.mesh, PartitionSpec())
        return jax.tree.map(lambda x: _place(x, sharding), tree)


def to_host(x) -> np.ndarray:
    """The whole array on the host; every process must call it."""
    return np.asarray(_reachable(x))


def fetch(tree):
    """The tree with its arrays on the host, all brought there at once.

    Every process must call it. Leaves that are no arrays stay as they are. An
    array keeps a copy of what was read of it: reading it again waits for
    nothing, even a single number such as the round.
    """
    return jax.device_get(jax.tree.map(_reachable, tree))


def _reachable(x):
    """The array, or its copy on the host where parts are in other processes."""
    if isinstance(x, jax.Array) and not (
        x.is_fully_addressable or x.is_fully_replicated
    ):
        return multihost_utils.process_allgather(x, tiled=True)
    return x


def row_sharding(mesh: Mesh | AbstractMesh, rows: int) -> NamedSharding:
    """The sharding of an array [R, ...] of rows; see Devices.rows."""
    fits = rows and rows % mesh.shape['data'] == 0
    return NamedSharding(
        mesh, PartitionSpec('data') if fits else PartitionSpec()
    )


def _place(x, sharding: NamedSharding) -> jax.Array:
    """Places an array of the host or of devices as the sharding says."""
    if isinstance(x, jax.Array) and x.sharding == sharding:
        return x  # the same object, with its copy on the host; see fetch
    spans = isinstance(x, jax.Array) and not x.is_fully_addressable
    if spans or sharding.is_fully_addressable:
        return jax.device_put(x, sharding)
    # device_put would compare the array's values among the processes, which
    # hold different rows.
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda i: x[i])
