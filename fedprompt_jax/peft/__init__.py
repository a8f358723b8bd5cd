"""Kinds of trained parameters, one file each; `config.peft` is the file."""

import importlib
import pkgutil
import types

# What the kinds share; and what is trained in the bare model.
_SUPPORT = ('hf_adapter', 'kind', 'modules', 'none', 'reading', 'tuned')


def names() -> list[str]:
    """The kinds there are."""
    found = (m.name for m in pkgutil.iter_modules(__path__))
    return sorted(set(found) - set(_SUPPORT))


def get(name: str) -> types.ModuleType:
    """The module of a kind.

    It has make(config, base) -> Kind; faults(config), sentences; and
    positions(config), how many positions its virtual tokens take.
    """
    return importlib.import_module(f'{__name__}.{name}')
