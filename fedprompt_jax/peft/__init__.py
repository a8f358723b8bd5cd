"""Kinds of trained parameters, one file each; `config.peft` is the file."""

import importlib
import pkgutil
import types


def names() -> list[str]:
    """The names of all kinds."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> types.ModuleType:
    """The module of a kind.

    It has make(config, info) -> Kind, where `info` is a ModelInfo (see
    bank/kind.py); faults(config), sentences about the config; and
    positions(config), the number of positions that virtual tokens take.
    """
    return importlib.import_module(f'{__name__}.{name}')
