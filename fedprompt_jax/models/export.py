"""A parameter tree written as a Hugging Face checkpoint."""

from collections.abc import Iterable, Iterator
from pathlib import Path
import shutil
from typing import Any

import flax.traverse_util
import jax
import numpy as np
from safetensors import numpy as safetensors

from fedprompt_jax.models.names import Name

# What belongs to a model besides its weights.
_KEPT = (
    'added_tokens.json',
    'config.json',
    'generation_config.json',
    'tokenizer*',
    'special_tokens_map.json',
    'vocab.json',
    'merges.txt',
)


def save(
    folder: Path,
    params: dict[str, Any],
    names: Iterable[Name],
    original: Path,
    dtype: Any,
) -> None:
    """Writes a folder that transformers and models.source load.

    Args:
      folder: is made.
      params: the whole tree of a model.
      names: the family's rules.
      original: the folder that the model came from, whose config and
        tokenizer are copied.
      dtype: of the tensors.

    Raises:
      ValueError: the model is quantized.
    """
    if any(x.dtype.kind == 'i' for x in jax.tree.leaves(params)):
        raise ValueError('A quantized model is not written: load it whole.')
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in _KEPT:
        for path in original.glob(pattern):
            shutil.copy(path, folder)
    tensors = {
        name: np.ascontiguousarray(np.asarray(x).astype(dtype))
        for name, x in _tensors(params, names)
    }
    path = folder / 'model.safetensors'
    safetensors.save_file(tensors, path, {'format': 'pt'})


def _tensors(params, names: Iterable[Name]) -> Iterator[tuple[str, Any]]:
    flat = flax.traverse_util.flatten_dict(params, sep='/')
    for rule in names:
        if rule.path not in flat:
            continue
        leaf = flat[rule.path]
        stacked = 'layers/' in rule.path
        for layer, x in enumerate(leaf if stacked else [leaf]):
            yield rule.example(layer), x.T if rule.transpose else x
