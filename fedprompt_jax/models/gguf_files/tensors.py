"""How a GGUF file's tensors differ from the Hugging Face checkpoint's."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

Rows = np.ndarray  # int [n], which row of the file is row i of the checkpoint


class Tensor(NamedTuple):
    """The tensor of a checkpoint that one tensor of the file becomes.

    Attributes:
      name: of the checkpoint's tensor; '' where the config says it all.
      order: of its rows, where llama.cpp has moved them.
      transpose: the checkpoint's is (in, out), as torch's Conv1D has it.
      shift: is added to every number.
    """

    name: str
    order: Rows | None = None
    transpose: bool = False
    shift: float = 0.0


def table(
    outer: Mapping[str, Tensor],
    layer: Mapping[str, Tensor],
    prefix: str,
    num_layers: int,
) -> dict[str, Tensor]:
    """All tensors by their GGUF names.

    Args:
      outer: those outside the layers.
      layer: those of one layer, named without 'blk.0.' and `prefix`.
      prefix: of the checkpoint's names in a layer, such as
        'model.layers.{}.'.
      num_layers: that are alike.
    """
    tensors = dict(outer)
    for i in range(num_layers):
        for name, tensor in layer.items():
            full = prefix.format(i) + tensor.name
            tensors[f'blk.{i}.{name}'] = tensor._replace(name=full)
    return tensors


def parts(part: str, names: Mapping[str, str], shift: float = 0.0) -> dict:
    """The 'weight' or the 'bias' of each module."""
    return {
        f'{gguf}.{part}': Tensor(f'{hf}.{part}', shift=shift)
        for gguf, hf in names.items()
    }


def both(names: Mapping[str, str]) -> dict[str, Tensor]:
    """Weight and bias of each module."""
    return parts('weight', names) | parts('bias', names)


def interleaved(heads: int, head_dim: int) -> Rows:
    """Undoes the two halves of each head in turns, as llama.cpp's rope reads.

    HF's row j of a half is the file's row 2 j, or 2 j + 1 in the second half.
    """
    rows = np.arange(heads * head_dim).reshape(heads, head_dim // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)


def parts_first(heads: int, head_dim: int) -> Rows:
    """Undoes [3, heads, h] of a fused kernel, which HF has as [heads, 3, h]."""
    rows = np.arange(3 * heads * head_dim).reshape(3, heads, head_dim)
    return rows.swapaxes(0, 1).reshape(-1)


def unmatched(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """Sentences on the tensors that only one of the two has."""
    wanted, present = set(wanted), set(present)
    return [f'{name} is missing' for name in sorted(wanted - present)] + [
        f'{name} is not a tensor of this architecture'
        for name in sorted(present - wanted)
    ]
