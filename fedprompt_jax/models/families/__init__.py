"""One file a family of models: what its config.json and its tensors mean.

A family has MODEL_TYPES, the values of `model_type` that it reads;
model_config(fields) -> ModelConfig; and NAMES, or names(fields) where
they differ between its variants. A new file here is found by itself.
"""

from collections.abc import Mapping
import importlib
import pkgutil
from types import ModuleType
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.names import Name


def families() -> dict[str, ModuleType]:
    """Each model_type that is known, and its family's module."""
    modules = [
        importlib.import_module(f'{__name__}.{module.name}')
        for module in pkgutil.iter_modules(__path__)
    ]
    return {kind: m for m in modules for kind in m.MODEL_TYPES}


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes.

    Raises:
      ValueError: no family reads it, or it asks for something that is not
        computed; every fault is listed.
    """
    return _family(fields).model_config(fields)


def names(fields: Mapping[str, Any]) -> tuple[Name, ...]:
    """The rules for the tensors of a checkpoint with this config.json."""
    family = _family(fields)
    return family.names(fields) if hasattr(family, 'names') else family.NAMES


def _family(fields: Mapping[str, Any]) -> ModuleType:
    known, kind = families(), fields.get('model_type')
    if not isinstance(kind, str) or kind not in known:
        raise ValueError(
            f'config.json of the model: model_type={kind!r} is not supported, '
            f'only {", ".join(sorted(known))}'
        )
    return known[kind]
