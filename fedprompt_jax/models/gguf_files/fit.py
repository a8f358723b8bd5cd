"""Whether the tensors of a GGUF file have the shapes that the model needs."""

from collections.abc import Iterable, Iterator, Mapping
import re
from typing import Any

from fedprompt_jax.models import families
from fedprompt_jax.models.gguf_files.tensors import Tensor
from fedprompt_jax.models.names import Name
from fedprompt_jax.models.sizes import param_shapes


def misshapen(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    config: Mapping[str, Any],
) -> Iterator[str]:
    """A sentence on each tensor of another shape than the model's.

    Args:
      tensors: what each tensor of the file becomes.
      shapes: of the file's tensors.
      config: config.json.
    """
    rules = families.names(config)
    leaves = param_shapes(families.model_config(config))
    for name, tensor in tensors.items():
        needed = _shape(tensor.name, rules, leaves)
        if needed is None:
            continue
        if tensor.transpose:
            needed = needed[::-1]
        if shapes[name] != needed:
            yield f'{name} has the shape {shapes[name]}, but needs {needed}'


def _shape(
    name: str,
    rules: Iterable[Name],
    leaves: Mapping[str, tuple[int, ...]],
) -> tuple[int, ...] | None:
    """The shape of the checkpoint's tensor; None if it is not loaded."""
    for rule in rules:
        match = re.fullmatch(rule.pattern, name)
        if match and rule.path in leaves:
            leaf = leaves[rule.path]
            shape = leaf[1:] if match.groups() else leaf
            return shape[::-1] if rule.transpose else shape
    return None
