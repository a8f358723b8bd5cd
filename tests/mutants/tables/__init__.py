"""All tables: NAME.py has MUTATIONS, mistakes in one part of the code."""

import importlib
import pkgutil

from tests.mutants.mutation import Mutation


def read() -> dict[str, tuple[Mutation, ...]]:
    """The mutations of every table, by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = (importlib.import_module(f'{__name__}.{name}') for name in names)
    return {
        name: module.MUTATIONS
        for name, module in zip(names, modules, strict=True)
    }
