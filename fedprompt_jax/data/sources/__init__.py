"""Sources of data, one file each; `config.data.source` is the file."""

import importlib
import pkgutil
import types


def names() -> list[str]:
    """The names of all sources."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> types.ModuleType:
    """The module of a source.

    It has open_source(config.data) -> tokenizing.Source, whose content is
    hashed and not yet read; faults(config), sentences, without a network; and
    CLIENTS = True where its instances say whose they are.
    """
    return importlib.import_module(f'{__name__}.{name}')


def with_clients() -> list[str]:
    """The sources whose instances say whose they are."""
    return [name for name in names() if getattr(get(name), 'CLIENTS', False)]
