"""Rows of .csv, .tsv, .json and .jsonl files, each cell as it is written.

No type is guessed: a cell of a .csv is text, and a number of a .json keeps
its digits.
"""

from collections.abc import Iterator
import csv
import itertools
import json
from pathlib import Path
from typing import Any, NoReturn

from fedprompt_jax.data import sni_task
from fedprompt_jax.data.tables.cells import Number

Row = dict[str, Any]

_LARGEST_CELL = 2**31 - 1  # characters; csv's own limit is 131,072
_CSV = {
    '.csv': {'delimiter': ',', 'strict': True},
    # A quotation mark in a .tsv is one: GLUE's are written so.
    '.tsv': {'delimiter': '\t', 'quoting': csv.QUOTE_NONE},
}
_DELIMITERS = {',': 'commas', '\t': 'tabs', ';': 'semicolons', '|': 'bars'}


def csv_header(file: Path) -> list[str]:
    """The column names of a .csv or .tsv file.

    Raises:
      ValueError: the file is empty or is not UTF-8.
    """
    _, header = next(_csv_lines(file), (0, []))
    if not header:
        raise ValueError(
            f'{file} is empty; a table has a line of column names and rows.'
        )
    return header


def csv_rows(file: Path) -> Iterator[Row]:
    """The rows of a .csv or .tsv file; blank lines are none.

    Raises:
      ValueError: as csv_header, or a row has more or fewer cells than the
        header, or its quotation marks are not closed.
    """
    header = csv_header(file)
    for line, cells in itertools.islice(_csv_lines(file), 1, None):
        if len(cells) != len(header):
            raise ValueError(
                f'{file}: line {line}: found {len(cells)} cells, and the '
                f'header has {len(header)}. A cell with a {_delimiter(file)!r} '
                f'in it {_quoting(file)}.'
            )
        yield dict(zip(header, cells, strict=True))


def other_delimiter(file: Path, header: list[str]) -> str:
    """A hint for a header of one cell that looks like several, or ''."""
    near = [d for d in _DELIMITERS if len(header) == 1 and d in header[0]]
    if not near or file.suffix not in _CSV:
        return ''
    fix = f'use {_DELIMITERS[_delimiter(file)]} instead'
    if near[0] == '\t':
        fix = 'rename it to .tsv'
    return (
        f' The cells of {file.name} seem to be separated by '
        f'{_DELIMITERS[near[0]]}; {fix}.'
    )


def _delimiter(file: Path) -> str:
    return str(_CSV[file.suffix]['delimiter'])


def _quoting(file: Path) -> str:
    if file.suffix == '.tsv':
        return 'cannot be written in a .tsv; use a .csv'
    return 'stands in double quotation marks'


def _csv_lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the line at which each row begins, from 1, and its cells."""
    csv.field_size_limit(_LARGEST_CELL)
    options: dict[str, Any] = _CSV[file.suffix]
    line = 1
    try:
        with file.open(encoding='utf-8-sig', newline='') as stream:
            reader = csv.reader(_without_nul(file, stream), **options)
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1
    except UnicodeDecodeError as error:
        _not_utf8(file, error)
    except csv.Error as error:
        raise ValueError(
            f'{file}: the row that begins at line {line} cannot be read: '
            f'{error}. A quotation mark inside a quoted cell is written twice, '
            'and one at its end closes it.'
        ) from error


def _without_nul(file: Path, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if '\0' in line:
            raise ValueError(
                f'{file}: line {number} has a NUL character, which no text '
                'has; save the file as UTF-8 text.'
            )
        yield line


def _not_utf8(file: Path, error: UnicodeDecodeError) -> NoReturn:
    """Raises ValueError with the line and the byte that cannot be decoded."""
    with file.open('rb') as stream:
        for number, raw in enumerate(stream, start=1):
            _decoded(file, number, raw)
    raise ValueError(f'{file} is not UTF-8; save it as UTF-8.') from error


def json_rows(file: Path) -> Iterator[Row]:
    """The rows of a .json or .jsonl file.

    They are its lines, an object a line; or the objects of a list; or one
    object over several lines, with a list of cells for each column (or an
    object of them, as pandas writes it).

    Raises:
      ValueError: it is none of that, is not UTF-8, or has a key twice.
    """
    with file.open('rb') as stream:
        lines = ((n, raw) for n, raw in enumerate(stream, 1) if raw.strip())
        first = next(lines, None)
        if first is None:
            return
        if not _is_object(first[1]):
            yield from _whole(file, *first)
            return
        for number, raw in itertools.chain([first], lines):
            yield json_line(file, number, raw, **_LITERAL)


def json_line(file: Path, number: int, raw: bytes, **hooks: Any) -> Row:
    """The object on a line.

    Args:
      file: for errors.
      number: of the line, from 1, for errors.
      raw: the line.
      **hooks: of json.loads.

    Raises:
      ValueError: it is no object, no UTF-8, or has a key twice.
    """
    text = _decoded(file, number, raw).rstrip('\r\n')
    row = _parsed(text, file, number, **hooks)
    if not isinstance(row, dict):
        sni_task.fail(f'{file}: line {number}', 'the line', row, 'an object')
    return row


def _whole(file: Path, number: int, first: bytes) -> list[Row]:
    """The rows of a file that is one JSON value; its first line is not."""
    try:
        text = file.read_text('utf-8-sig')
    except UnicodeDecodeError as error:
        _not_utf8(file, error)
    try:
        value = _parsed(text, file, 1, **_LITERAL)
    except ValueError:
        if file.suffix == '.jsonl':  # its lines are meant to be whole
            json_line(file, number, first)
        raise
    rows = _of_columns(file, value) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        sni_task.fail(str(file), 'the file', value, 'a list of objects')
    for i, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            sni_task.fail(f'{file}: row {i}', 'the row', row, 'an object')
    return rows


def _of_columns(file: Path, columns: dict[str, Any]) -> list[Row]:
    if not all(isinstance(c, list | dict) for c in columns.values()):
        return [columns]
    lists = {
        name: [*c.values()] if isinstance(c, dict) else c
        for name, c in columns.items()
    }
    if len({*map(len, lists.values())}) > 1:
        sizes = ', '.join(f'{name} {len(c)}' for name, c in lists.items())
        raise ValueError(
            f'{file}: the columns have different numbers of cells: {sizes}.'
        )
    return [
        dict(zip(lists, cells, strict=True))
        for cells in zip(*lists.values(), strict=True)
    ]


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(json.loads(raw.decode('utf-8-sig')), dict)
    except (ValueError, RecursionError):
        return False


def _decoded(file: Path, number: int, raw: bytes) -> str:
    try:
        return raw.decode('utf-8-sig')
    except UnicodeDecodeError as e:
        raise ValueError(
            f'{file}: line {number}, byte {e.start} is not UTF-8 ({e.reason}); '
            'save it as UTF-8.'
        ) from e


def _once(pairs: list[tuple[str, Any]]) -> Row:
    """An object, whose keys must differ."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(n for i, n in enumerate(names) if n in names[:i])
        raise ValueError(f'key {twice!r} is there twice; remove one.')
    return row


# A number is what is written; NaN, which JSON does not have, is a gap.
_LITERAL: dict[str, Any] = {
    'parse_int': Number,
    'parse_float': Number,
    'parse_constant': lambda name: None if name == 'NaN' else Number(name),
}


def _parsed(text: str, file: Path, number: int, **hooks: Any) -> Any:
    """The value of JSON text that begins at a line of a file."""
    try:
        return json.loads(text, object_pairs_hook=_once, **hooks)
    except json.JSONDecodeError as e:
        raise ValueError(
            f'{file}: not JSON at line {number + e.lineno - 1}, column '
            f'{e.colno}: {e.msg}.'
        ) from e
    except RecursionError as e:
        raise ValueError(
            f'{file}: line {number}: nested far deeper than a row is.'
        ) from e
    except ValueError as e:
        raise ValueError(f'{file}: line {number}: {e}') from e
