"""The figures of the report, one file each; the file's name is the figure's.

A file has CAPTION, the text under the figure, in which {score} stands for the
name of the score that chose the prompt; and draw(runs), which returns a
matplotlib Figure, or None where the runs have no data for it. It may have
CAPTION_OF_SEVERAL, where what it draws of several runs needs other words.
"""

import importlib
import pkgutil
import types

_FIRST = ('tradeoff', 'clients', 'training', 'norms')  # on the page


def names() -> list[str]:
    """The figures there are, in the order of the page: new ones come last."""
    there = sorted(m.name for m in pkgutil.iter_modules(__path__))
    return sorted(
        there, key=lambda n: _FIRST.index(n) if n in _FIRST else len(_FIRST)
    )


def get(name: str) -> types.ModuleType:
    """The module of a figure: CAPTION and draw."""
    return importlib.import_module(f'{__name__}.{name}')
