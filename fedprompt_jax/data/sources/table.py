"""Tables: files, folders, names on the hub.

Files are .parquet, .jsonl, .json, .csv or .tsv; a folder's are of one of these
kinds and stand for one table, in the order of their names; hidden ones are
ignored. What is neither is looked for on the hub by Hugging Face's `datasets`,
as NAME, NAME:CONFIG or NAME:CONFIG:SPLIT.

Files are read directly. A cache such as that of `datasets`, which knows a file
by its path and time, would serve the rows of another file of that path.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
from pathlib import Path
import re
from typing import Any, NoReturn

from ml_collections import config_dict

from fedprompt_jax import files
from fedprompt_jax.data.sni_task import Task
from fedprompt_jax.data.sources import arrow, tasks, text_files

_KINDS = ('.parquet', '.jsonl', '.json', '.csv', '.tsv')
_HUB = re.compile(r'[\w.-]+(/[\w.-]+)?(:[\w.-]*){0,2}')


def faults(
    config: config_dict.ConfigDict,
    known: Sequence[str],
    lists: Sequence[str] = (),
) -> Iterator[str]:
    """What is wrong with config.data.path and columns.

    Args:
      config: the config.
      known: the source's columns.
      lists: see renamed.
    """
    c = config.data
    try:
        if Path(c.path).exists():
            _files(c.path)
        elif c.path == 'embedded' or not _HUB.fullmatch(c.path):
            _no_path(c.path)
    except ValueError as error:
        yield str(error)
    try:
        renamed(c.columns, known, lists)
    except ValueError as error:
        yield str(error)


def renamed(
    columns: Sequence[str], known: Sequence[str], lists: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Column of the source -> those of the data that it is made of.

    Args:
      columns: config.data.columns, such as ('text=sentence', 'options=a+b').
      known: the source's columns.
      lists: those of them that may be made of several.

    Raises:
      ValueError: an entry is not of that form, names another column, or makes
        one of several that is no list.
    """
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in known}
    for entry in columns:
        name, equals, theirs = entry.partition('=')
        if name not in known or not equals or not theirs:
            raise ValueError(
                f'config.data.columns has {entry!r}; an entry is '
                f"'column=column of the data', and the columns are "
                f'{", ".join(known)}.'
            )
        found[name] = tuple(theirs.split('+'))
        if len(found[name]) > 1 and name not in lists:
            raise ValueError(
                f'config.data.columns has {entry!r}, but {name!r} is made of '
                'one column.'
            )
    return found


@dataclasses.dataclass(frozen=True)
class Table:
    """A table before its rows are read; they are read anew each time.

    Attributes:
      path: as config.data.path has it.
      columns: column of the source -> those of the data; only those that the
        data have.
      classes: column of the data -> the names of its classes, where it has
        such (the hub's ClassLabel).
      read: yields the rows of the columns named, as cells (see cells.py).
    """

    path: str
    columns: dict[str, tuple[str, ...]]
    classes: arrow.Classes
    read: Callable[[Sequence[str]], Iterator[dict[str, Any]]]

    def rows(self, *names: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields where a row is, for errors, and its cells.

        Args:
          *names: columns of the source; all of them by default. One made of
            several is a list. One that the data do not have is left out.
        """
        chosen = {
            name: theirs
            for name, theirs in self.columns.items()
            if not names or name in names
        }
        needed = dict.fromkeys(t for theirs in chosen.values() for t in theirs)
        for number, row in enumerate(self.read([*needed]), start=1):
            yield (
                f'{self.path}: row {number}',
                {
                    name: row[theirs[0]]
                    if len(theirs) == 1
                    else [row[t] for t in theirs]
                    for name, theirs in chosen.items()
                },
            )


def fingerprint(path: str) -> str:
    """The content of a table: a sha256 (hex), or the hub's own hash."""
    if not Path(path).exists():
        import datasets

        name, config, split = _hub_name(path)
        try:
            builder = datasets.load_dataset_builder(name, config)
        except Exception as error:
            _unreadable(path, error)
        return f'{name}:{builder.config.name}:{split}:{builder.hash}'
    return files.fingerprint(_files(path))


def unchanged(found: Iterable[Task], path: str, content: str) -> Iterator[Task]:
    """Yields tasks of a table, and sees that its files stayed as they were.

    Args:
      found: the tasks, read as they are asked for.
      path: of the table. The hub's are not looked at: `datasets` has them.
      content: its fingerprint before any was read.

    Raises:
      ValueError: the files are others now.
    """
    yield from found
    if Path(path).exists():
        tasks.check_unchanged(path, content, fingerprint(path))


def load(
    path: str,
    columns: dict[str, tuple[str, ...]],
    needed: Sequence[str],
    split: str = 'train',
) -> Table:
    """Returns a table, whose files are read directly and never from a cache.

    Args:
      path: of a file or a folder, or a name on the hub.
      columns: as `renamed` returns them.
      needed: those of them that must be there.
      split: of a name on the hub that says none; 'all' for all of them.

    Raises:
      ValueError: it cannot be read, has no row, or a column is missing.
    """
    wanted = {t for name in needed for t in columns[name]}
    if Path(path).exists():
        parts = [_file_part(path, file, wanted) for file in _files(path)]
    else:
        parts = [_hub_part(path, split)]
    for part in parts:
        _check_columns(path, part, columns, needed)
    found = Table(
        path,
        {k: theirs for k, theirs in columns.items() if _have(parts, theirs)},
        _classes(path, parts, columns),
        lambda names: (
            {name: row.get(name) for name in names}
            for part in parts
            for row in part.read([n for n in names if n in part.names])
        ),
    )
    if next(found.rows(needed[0]), None) is None:
        raise ValueError(f'config.data.path={path!r} has no row of data.')
    return found


@dataclasses.dataclass(frozen=True)
class _Part:
    """A file of a table, or all that the hub has of it.

    Attributes:
      where: what errors call it.
      names: of its columns.
      read: yields rows of the columns named, and perhaps of others.
      classes: see Table.
      more: whether later rows may have columns besides `names`.
      advice: what to do where a column is missing; '' for nothing more.
    """

    where: str
    names: Sequence[str]
    read: Callable[[Sequence[str]], Iterator[dict[str, Any]]]
    classes: arrow.Classes = dataclasses.field(default_factory=dict)
    more: bool = False
    advice: str = ''


def _file_part(path: str, file: Path, wanted: set[str]) -> _Part:
    where = str(file)
    if file.suffix == '.parquet':
        try:
            names, classes = arrow.parquet_columns(file)
        except Exception as error:  # of many kinds, none of them documented
            _unreadable(path, error, file)
        return _Part(
            where,
            names,
            lambda chosen: _read_parquet(path, file, chosen, classes),
            classes,
        )
    if file.suffix in ('.json', '.jsonl'):
        seen: dict[str, None] = {}
        for row in text_files.json_rows(file):
            seen |= dict.fromkeys(row)
            if seen.keys() >= wanted:
                break
        rows = text_files.json_rows
        return _Part(where, [*seen], lambda _: rows(file), more=True)
    header = text_files.csv_header(file)
    return _Part(
        where,
        header,
        lambda _: text_files.csv_rows(file),
        advice=text_files.other_delimiter(file, header),
    )


def _read_parquet(path: str, file: Path, names, classes) -> Iterator[dict]:
    try:
        yield from arrow.parquet_rows(file, names, classes)
    except Exception as error:
        _unreadable(path, error, file)


def _hub_part(path: str, split: str) -> _Part:
    import datasets

    name, config, named = _hub_name(path)
    try:
        found = datasets.load_dataset(name, config, split=named or split)
    except Exception as error:
        _unreadable(path, error)
    classes = arrow.classes_of(found.features)
    return _Part(
        path,
        found.column_names,
        lambda names: arrow.dataset_rows(found, names, classes),
        classes,
    )


def _have(parts: Sequence[_Part], names: Sequence[str]) -> bool:
    """Whether each of the columns is in a part, or may be."""
    return all(any(p.more or n in p.names for p in parts) for n in names)


def _check_columns(path: str, part: _Part, columns, needed) -> None:
    if part.more and not part.names:  # a file of JSON lines without a line
        return
    twice = [n for i, n in enumerate(part.names) if n and n in part.names[:i]]
    inside = f' ({part.where})' if part.where != path else ''
    if twice:
        raise ValueError(
            f'config.data.path={path!r}{inside}: column {twice[0]!r} is there '
            'twice; rename or remove one.'
        )
    for name in needed:
        for theirs in columns[name]:
            if theirs not in part.names:
                raise ValueError(
                    f'config.data.path={path!r}{inside}: column {theirs!r} is '
                    'missing; the columns there are: '
                    f'{", ".join(part.names)}. If one of them is meant, say '
                    f"config.data.columns=('{name}=ITS NAME',).{part.advice}"
                )


def _classes(path: str, parts: Sequence[_Part], columns) -> arrow.Classes:
    """The classes of the columns, which must be those of every part."""
    first, *others = parts
    for name in [n for theirs in columns.values() for n in theirs]:
        classes = first.classes.get(name)
        for other in others:
            if other.classes.get(name) != classes:
                raise ValueError(
                    f'config.data.path={path!r}: column {name!r} has the '
                    f'classes {classes or "none"} in {first.where}, and '
                    f'{other.classes.get(name) or "none"} in {other.where}; '
                    'a table has the same in all of its files.'
                )
    return first.classes


def _files(path: str) -> list[Path]:
    place = Path(path)
    if place.is_file():
        found = [place] if place.suffix in _KINDS else []
    else:
        # A .json beside a data set is as a rule about it.
        kinds = (kind for kind in _KINDS if kind != '.json')
        found = [f for k in kinds for f in files.visible(place, f'**/*{k}')]
    kinds_there = sorted({f.suffix for f in found})
    if len(kinds_there) != 1:
        raise ValueError(
            f'config.data.path={path!r} must be a file, or hold files, of one '
            f'of the kinds {", ".join(_KINDS)}; found '
            f'{" and ".join(kinds_there) or "none"}.'
        )
    return found


def _hub_name(path: str) -> tuple[str, str | None, str | None]:
    name, config, split = [*path.split(':'), '', ''][:3]
    return name, config or None, split or None


def _no_path(path: str) -> NoReturn:
    raise ValueError(
        f'config.data.path={path!r} is no file, no folder and no name of a '
        "data set on the hub ('NAME', 'NAME:CONFIG' or 'NAME:CONFIG:SPLIT')."
    )


def _unreadable(
    path: str, error: Exception, file: Path | None = None
) -> NoReturn:
    where = '' if Path(path).exists() else ' (on the hub: no such path here)'
    if file is not None and str(file) != path:
        where = f' ({file})'
    reason = ' '.join(str(error.__cause__ or error).split())[:300]
    raise ValueError(
        f'config.data.path={path!r}{where} could not be read: {reason}'
    ) from error
