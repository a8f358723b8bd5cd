"""Cells of a table: text as it is written, and what else they are.

A reader yields a cell as a str where the file has text; as a Number, a str
too, where it has a number; as a Class where the data name their classes; as a
bool, a list or a dict; and as None where there is nothing.
"""

import json
from typing import Any, NoReturn

from fedprompt_jax.data import sni_task


class Number(str):
    """A number as it is written: Number('0.50') is not Number('0.5')."""

    __slots__ = ()


class Class(str):
    """A class of the hub's ClassLabel: its name, and its index from 0."""

    __slots__ = ('place',)
    place: int

    @classmethod
    def of(cls, names: tuple[str, ...], index: int) -> 'Class':
        """Class `index` of `names`; one without a name is called by its index.

        The hub calls the class of a row without a label -1.
        """
        named = 0 <= index < len(names)
        cell = cls(names[index] if named else str(index))
        cell.place = index
        return cell


def text(where: str, field: str, cell: Any) -> str:
    """The text of a cell; numbers and truth values as they are written.

    Args:
      where: file and row, for the error.
      field: the column, for the error.
      cell: as a reader yields it.

    Raises:
      ValueError: nothing is there, or a list or an object is.
    """
    if isinstance(cell, bool):
        return str(cell).lower()
    if not isinstance(cell, str):
        fail(where, field, cell, 'text')
    return str(sni_task.string(where, field, cell))


def optional_text(where: str, field: str, cell: Any) -> str:
    """Returns a cell as `text` does, or '' where the cell is empty."""
    return '' if cell is None else text(where, field, cell)


def nothing(cell: Any) -> bool:
    """Whether a cell is absent, null or blank."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def hidden(cell: Any) -> bool:
    """Whether a cell says that its row's answer is not public."""
    if isinstance(cell, Class):
        return cell.place < 0
    return nothing(cell) or cell == '-1'


def fail(where: str, field: str, cell: Any, needed: str) -> NoReturn:
    """Raises ValueError: what was found in a cell, and what was needed."""
    raise ValueError(f'{where}: {field}: found {shown(cell)}, needed {needed}.')


def shown(cell: Any) -> str:
    """A cell in words: 'number 2', 'text "maybe"', 'nothing'."""
    if nothing(cell):
        return 'nothing'
    if isinstance(cell, Class):
        return f'class {cell.place} ({_short(cell)})'
    if isinstance(cell, Number):
        return f'number {_short(cell)}'
    kind = 'text ' if isinstance(cell, str) else ''
    kind = 'a list ' if isinstance(cell, list) else kind
    return kind + _short(json.dumps(cell, default=repr, ensure_ascii=False))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + '…'
