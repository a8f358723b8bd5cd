"""Federated algorithms, one file each; `config.algorithm` is the file."""

import importlib
import pkgutil
import types


def names() -> list[str]:
    """The algorithms there are."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def get(name: str) -> types.ModuleType:
    """The module of an algorithm: `make`, and `POOLED` if it pools clients."""
    return importlib.import_module(f'{__name__}.{name}')


def pooled(name: str) -> bool:
    """Whether all training clients are one client to the algorithm."""
    return getattr(get(name), 'POOLED', False)
