"""A checkpoint folder of Hugging Face's layout, read into a parameter tree.

One leaf at a time: its rows are copied from the safetensors file straight to
their transposed place in one (layers, in, out) buffer, which goes to the
devices before the next leaf begins. Host memory peaks at the largest leaf, or
at its integers and one layer of it in f32 where it is quantized.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
from pathlib import Path
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors

from fedprompt_jax.models import quantization as quantization_lib
from fedprompt_jax.models import shards
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.names import Name
from fedprompt_jax.models.sizes import param_shapes

Sharding = Callable[[str], jax.sharding.Sharding]

_DTYPES = ('F32', 'BF16', 'F16', 'F64')
_CHUNK_BYTES = 1 << 22  # rows are moved in pieces of about this size


class _Tensor(NamedTuple):
    """The file, place, shape and dtype of a checkpoint tensor.

    `name` is that under which it is stored.
    """

    shard: Path
    name: str
    dtype: str
    shape: tuple[int, ...]


class _Leaf(NamedTuple):
    """A leaf of the tree and the tensors that fill it, in layer order."""

    shape: tuple[int, ...]
    parts: list[_Tensor]
    stacked: bool
    transpose: bool


def load_weights(
    folder: str | Path,
    names: Iterable[Name],
    config: ModelConfig,
    dtype: Any,
    sharding: Sharding | None = None,
    quantization: str = '',
) -> dict[str, Any]:
    """The model's parameter tree, on device.

    Args:
      folder: holds model.safetensors, or its shards and their index; tensors
        of F32, BF16, F16 or F64.
      names: the family's name map, see models/families.
      config: sizes that every tensor must agree with.
      dtype: of all leaves that are not quantized.
      sharding: from a leaf's path, such as 'layers/mlp/up/kernel', to its
        sharding; None puts everything on the default device.
      quantization: of the layers' kernels, see models/quantization.py.

    Raises:
      ValueError: the folder has no safetensors, or the checkpoint does not
        fit the config; all that is missing, unexpected or wrong is listed.
        Or there is no such quantization.
    """
    dtype = jnp.dtype(dtype)
    listed = shards.weight_map(folder)
    with contextlib.ExitStack() as stack:
        files = {
            s: stack.enter_context(_open(s)) for s in shards.shard_paths(folder)
        }
        leaves = _plan(files, listed, list(names), config)
        params: dict[str, Any] = {}
        for path, leaf in leaves.items():
            scale = quantization_lib.scale_path(path, quantization)
            if scale:
                arrays = _read_quantized(files, path, scale, leaf)
            else:
                arrays = {path: _read(files, path, leaf, dtype)}
            for place, array in arrays.items():
                *parents, last = place.split('/')
                node = params
                for key in parents:
                    node = node.setdefault(key, {})
                node[last] = _put(array, sharding and sharding(place))
            del arrays, array  # before the next leaf is read
    return params


def _open(shard: Path):
    shards.read_header(shard)  # its sentences name more kinds of damage
    try:
        return safetensors.safe_open(shard, framework='numpy')
    except safetensors.SafetensorError as error:
        raise ValueError(
            f'{shard} is not a whole safetensors file ({error}); copy or '
            'download it again.'
        ) from error


def _plan(
    files: Mapping[Path, Any],
    listed: Mapping[str, str],
    names: list[Name],
    config: ModelConfig,
) -> dict[str, _Leaf]:
    """Every leaf with its tensors; ValueError with all that does not fit."""
    faults: list[str] = []
    shapes = param_shapes(config)
    slots = _match(files, listed, names, shapes, faults)
    rules = {name.path: name for name in names}
    leaves = {}
    for path, shape in shapes.items():
        rule = rules[path]
        stacked = re.compile(rule.pattern).groups == 1
        layers = range(shape[0]) if stacked else range(1)
        needed = shape[1:] if stacked else shape
        needed = needed[::-1] if rule.transpose else needed
        for layer in layers:
            tensor = slots.get((path, layer))
            where = f'{path}, layer {layer}' if stacked else path
            if tensor is None:
                faults.append(f'missing: {where} ({rule.pattern})')
            elif tensor.shape != needed:
                faults.append(
                    f'wrong shape: {tensor.name} is {tensor.shape}, '
                    f'needs {needed}'
                )
        parts = [slots[path, i] for i in layers if (path, i) in slots]
        leaves[path] = _Leaf(shape, parts, stacked, rule.transpose)
    if faults:
        raise ValueError(
            f'{next(iter(files)).parent}: the checkpoint does not fit its '
            'config.json:\n  ' + '\n  '.join(faults)
        )
    return leaves


def _match(
    files: Mapping[Path, Any],
    listed: Mapping[str, str],
    names: list[Name],
    shapes: Mapping[str, tuple[int, ...]],
    faults: list[str],
) -> dict[tuple[str, int], _Tensor]:
    """Tensors by (leaf path, layer); what has no place goes to `faults`."""
    slots: dict[tuple[str, int], _Tensor] = {}
    copies: list[_Copy] = []
    for name, tensor in _tensors(files, listed):
        rule, layer = _place(name, names)
        copied = rule and _copied(rule, shapes)
        if rule and not rule.path and not copied:  # a buffer
            continue
        if rule is None or not (copied or _is_room(rule.path, layer, shapes)):
            faults.append(f'unexpected: {name} {tensor.shape}')
            continue
        if tensor.dtype not in _DTYPES:
            faults.append(
                f'unsupported dtype: {tensor.name} is {tensor.dtype}, '
                f'needs one of {", ".join(_DTYPES)}'
            )
        elif copied:
            copies.append(_Copy(name, copied, tensor))
            continue
        place = rule.path, layer
        other = slots.setdefault(place, tensor)
        if other is not tensor:
            faults.append(
                f'given twice: {place[0]} by {other.name} in '
                f'{other.shard.name} and by {tensor.name} in '
                f'{tensor.shard.name}'
            )
    faults += _fill_from_copies(files, slots, copies)
    return slots


class _Copy(NamedTuple):
    """A tensor that should be the same as that of a leaf."""

    name: str
    path: str
    tensor: _Tensor


def _copied(rule: Name, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The leaf that a rule's tensors are a copy of; '' for none."""
    if rule.path == 'head/kernel' and rule.path not in shapes:
        return 'embed/embedding'  # the head of a model whose head is its table
    return rule.copy_of if rule.copy_of in shapes else ''


def _fill_from_copies(
    files: Mapping[Path, Any],
    slots: dict[tuple[str, int], _Tensor],
    copies: Iterable[_Copy],
) -> Iterator[str]:
    """Fills leaves without a tensor of their own from a copy.

    Yields a fault for each copy that is none.
    """
    for name, path, tensor in copies:
        original = slots.setdefault((path, 0), tensor)
        if original is tensor or _equal(files, tensor, original):
            continue
        if name.startswith('lm_head.weight'):
            yield (
                f'tie_word_embeddings is true but {name} differs from '
                f'{original.name}: set it to false in config.json if the head '
                'is meant'
            )
        else:
            yield (
                f'{name} differs from {original.name}, which a model of this '
                'kind uses in its place'
            )


def _is_room(
    path: str, layer: int, shapes: Mapping[str, tuple[int, ...]]
) -> bool:
    """Whether the tree has this layer of this leaf."""
    if path not in shapes:
        return False
    return 'layers/' not in path or layer < shapes[path][0]


def _place(name: str, names: list[Name]) -> tuple[Name | None, int]:
    """The rule of a tensor and its layer; layer 0 outside the layers."""
    for rule in names:
        match = re.fullmatch(rule.pattern, name)
        if match:
            return rule, int(match[1]) if match.groups() else 0
    return None, 0


def _tensors(
    files: Mapping[Path, Any], listed: Mapping[str, str]
) -> Iterator[tuple[str, _Tensor]]:
    """Every name and its tensor; of a name in two shards, the index's."""
    for shard, file in files.items():
        stored = {name: name for name in file.keys()}
        for name, its in (stored | shards.aliases(shard)).items():
            if listed.get(name, shard.name) != shard.name:
                continue
            part = file.get_slice(its)
            shape = tuple(part.get_shape())
            yield name, _Tensor(shard, its, part.get_dtype(), shape)


def _rows(file: Any, tensor: _Tensor) -> Iterator[tuple[slice, np.ndarray]]:
    """The tensor piece by piece along its first axis."""
    part = file.get_slice(tensor.name)
    row_bytes = 4 * int(np.prod(tensor.shape[1:]))
    step = max(1, _CHUNK_BYTES // row_bytes)
    for start in range(0, tensor.shape[0], step):
        where = slice(start, min(start + step, tensor.shape[0]))
        yield where, part[where]


def _equal(files: Mapping[Path, Any], a: _Tensor, b: _Tensor) -> bool:
    """Whether two tensors have the same numbers, of whatever dtypes."""
    if a.shape != b.shape:
        return False
    pairs = zip(_rows(files[a.shard], a), _rows(files[b.shard], b), strict=True)
    return all(
        np.array_equal(np.float64(x), np.float64(y)) for (_, x), (_, y) in pairs
    )


def _read(
    files: Mapping[Path, Any], path: str, leaf: _Leaf, dtype: np.dtype
) -> np.ndarray:
    """A leaf, its layers stacked."""
    buffer = np.empty(leaf.shape, dtype)
    for layer, tensor in enumerate(leaf.parts):
        target = buffer[layer] if leaf.stacked else buffer
        _fill(target.T if leaf.transpose else target, files, tensor)
    if dtype == np.float16 and not np.isfinite(buffer).all():
        raise ValueError(
            f'{path} does not fit into float16; load it as bfloat16.'
        )
    return buffer


def _read_quantized(
    files: Mapping[Path, Any], path: str, scale_path: str, leaf: _Leaf
) -> dict[str, np.ndarray]:
    """A stacked kernel in int8, and its scales, by their paths."""
    layers, inputs, outputs = leaf.shape
    kernel = np.empty(leaf.shape, np.int8)
    scale = np.empty((layers, outputs), np.float32)
    one = np.empty((inputs, outputs), np.float32)
    for layer, tensor in enumerate(leaf.parts):
        _fill(one.T if leaf.transpose else one, files, tensor)
        kernel[layer], scale[layer] = quantization_lib.quantize(one)
    return {path: kernel, scale_path: scale}


def _fill(target: np.ndarray, files: Mapping[Path, Any], tensor: _Tensor):
    for where, rows in _rows(files[tensor.shard], tensor):
        target[where] = rows


def _put(
    array: np.ndarray, sharding: jax.sharding.Sharding | None
) -> jax.Array:
    if sharding is None:
        placed = jax.device_put(array)
    else:
        placed = jax.make_array_from_callback(
            array.shape, sharding, lambda index: array[index]
        )
    return placed.block_until_ready()  # else buffers pile up in the queue
