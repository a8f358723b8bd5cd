"""Tables: files, folders, names on the hub.

Files are .parquet, .jsonl, .json, .csv or .tsv; a folder's are of one of these
kinds and stand for one table, in the order of their names; hidden ones are
ignored. What is neither is looked for on the hub by Hugging Face's `datasets`,
as NAME, NAME:CONFIG or NAME:CONFIG:SPLIT.

Files are read directly. A cache such as that of `datasets`, which knows a file
by its path and time, would serve the rows of another file of that path.
"""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import logging
from pathlib import Path
import re
from typing import Any, NoReturn

from ml_collections import config_dict

from fedprompt_jax import digests, files, intact
from fedprompt_jax.data.sni_task import Task
from fedprompt_jax.data.splits import OFFICIAL
from fedprompt_jax.data.tables import cells, official, parts, tasks
from fedprompt_jax.data.tables.parts import Part

_LOG = logging.getLogger(__name__)

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
            there = _files(c.path)
            if c.splits == OFFICIAL:
                official.of_files(c.path, there)
        elif c.path == 'embedded' or not _HUB.fullmatch(c.path):
            _no_path(c.path)
        elif c.splits == OFFICIAL and _hub_name(c.path)[2]:
            raise ValueError(
                f'config.data.path={c.path!r} names one split, and config.data.'
                "splits='official' takes all of them; leave it out of the path."
            )
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
    columns_of: dict[str, tuple[str, ...]] = {name: (name,) for name in known}
    for entry in columns:
        name, equals, theirs = entry.partition('=')
        if name not in known or not equals or not theirs:
            raise ValueError(
                f'config.data.columns has {entry!r}; an entry is '
                f"'column=column of the data', and the columns are "
                f'{", ".join(known)}.'
            )
        columns_of[name] = tuple(theirs.split('+'))
        if len(columns_of[name]) > 1 and name not in lists:
            raise ValueError(
                f'config.data.columns has {entry!r}, but {name!r} is made of '
                'one column.'
            )
    return columns_of


@dataclasses.dataclass(frozen=True)
class Table:
    """A table before its rows are read; they are read anew each time.

    Attributes:
      path: as config.data.path has it.
      columns: column of the source -> those of the data; only those that the
        data have.
      parts: its files.
    """

    path: str
    columns: dict[str, tuple[str, ...]]
    parts: Sequence[Part]

    def classes(self, name: str) -> tuple[str, ...] | None:
        """The names of a column's classes (the hub's ClassLabel), if any."""
        return self.parts[0].classes.get(self.columns[name][0])

    def by_split(self) -> 'dict[str, Table]':
        """The table of each of the data's own splits; one, '', without them."""
        tables: dict[str, Table] = {}
        for split in dict.fromkeys(part.split for part in self.parts):
            chosen = [part for part in self.parts if part.split == split]
            tables[split] = dataclasses.replace(self, parts=chosen)
        return tables

    def answered(self, name: str) -> 'Table':
        """The table without its own splits of which no row has an answer.

        The hub hides the answers of some test splits: cells are empty, or -1.

        Args:
          name: the column of answers.
        """
        chosen = {
            split: any(
                not cells.hidden(row[name]) for _, row in part.rows(name)
            )
            for split, part in self.by_split().items()
        }
        hidden = [split for split, some in chosen.items() if not some]
        if not hidden or '' in chosen:
            return self
        _LOG.warning(
            '%s: no row of %s has an answer: the split is left out.',
            self.path,
            ' and '.join(hidden),
        )
        kept = [part for part in self.parts if chosen[part.split]]
        return dataclasses.replace(self, parts=kept)

    def rows(self, *names: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields where a row is, for errors, and its cells (see cells.py).

        Args:
          *names: columns of the source; all of them by default. One made of
            several is a list. One that the data do not have is left out.
        """
        chosen = {n: self.columns[n] for n in names} or self.columns
        needed = dict.fromkeys(t for theirs in chosen.values() for t in theirs)
        for part in self.parts:
            there = [name for name in needed if name in part.names]
            for number, row in enumerate(part.read(there), start=1):
                yield (
                    f'{part.where}: row {number}',
                    {
                        name: row.get(theirs[0])
                        if len(theirs) == 1
                        else [row.get(t) for t in theirs]
                        for name, theirs in chosen.items()
                    },
                )


def fingerprint(path: str, splits: str = '') -> str:
    """The content of a table: a sha256 (hex), or the hub's own hash.

    Args:
      path: config.data.path.
      splits: config.data.splits; with 'official', the content includes which
        file is of which split.
    """
    if not Path(path).exists():
        import datasets

        name, config, split = _hub_name(path)
        try:
            builder = datasets.load_dataset_builder(name, config)
        except Exception as error:
            parts.unreadable(path, path, error)
        content = f'{name}:{builder.config.name}:{split}:{builder.hash}'
        if splits != OFFICIAL:
            return content
        split_of = official.of_names(path, parts.hub_splits(path, name, config))
        return tasks.fingerprint(content, sorted(split_of.items()))
    content = digests.fingerprint(there := _files(path))
    if splits == OFFICIAL:
        marks = official.marks(path, official.of_files(path, there))
        content = tasks.fingerprint(content, marks)
    return content


def unchanged(
    read: Iterable[Task], path: str, content: str, splits: str = ''
) -> Iterator[Task]:
    """Yields tasks of a table, and sees that its files stayed as they were.

    Args:
      read: the tasks, each read when it is requested.
      path: of the table. The hub's are not looked at: `datasets` has them.
      content: its fingerprint before any was read.
      splits: config.data.splits.

    Raises:
      ValueError: the files are others now.
    """
    yield from read
    if Path(path).exists():
        tasks.check_unchanged(path, content, fingerprint(path, splits))


def load(
    path: str,
    columns: dict[str, tuple[str, ...]],
    needed: Sequence[str],
    split: str = 'train',
    splits: str = '',
) -> Table:
    """Returns a table, whose files are read directly and never from a cache.

    Args:
      path: of a file or a folder, or a name on the hub.
      columns: as `renamed` returns them.
      needed: those of them that must be there.
      split: of a name on the hub that says none; 'all' for all of them.
      splits: config.data.splits; with 'official', each part knows its split.

    Raises:
      ValueError: it cannot be read, has no row, or a column is missing.
    """
    wanted = {name: columns[name] for name in needed}
    if Path(path).exists():
        loaded = _of_files(path, wanted, splits)
    else:
        loaded = _of_hub(path, split, splits)
    parts.check(path, loaded, columns, wanted)
    there = {k: v for k, v in columns.items() if parts.have(loaded, v)}
    table = Table(path, there, loaded)
    if next(table.rows(needed[0]), None) is None:
        raise ValueError(f'config.data.path={path!r} has no row of data.')
    return table


def _of_files(
    path: str, wanted: dict[str, tuple[str, ...]], splits: str
) -> list[Part]:
    there = _files(path)
    loaded = [parts.of_file(path, file, wanted) for file in there]
    if splits != OFFICIAL:
        return loaded
    split_of = official.of_files(path, there)
    return [
        dataclasses.replace(part, split=split_of[file])
        for part, file in zip(loaded, there, strict=True)
    ]


def _of_hub(path: str, split: str, splits: str) -> list[Part]:
    name, config, named = _hub_name(path)
    if splits != OFFICIAL:
        return [parts.of_hub(path, name, config, named, split)]
    split_of = official.of_names(path, parts.hub_splits(path, name, config))
    return [
        dataclasses.replace(
            parts.of_hub(path, name, config, None, theirs), split=ours
        )
        for theirs, ours in split_of.items()
    ]


def _files(path: str) -> list[Path]:
    place = Path(path)
    if place.is_file():
        paths = [place] if place.suffix in _KINDS else []
    else:
        # A .json beside a data set is as a rule about it.
        kinds = (kind for kind in _KINDS if kind != '.json')
        paths = [f for k in kinds for f in files.visible(place, f'**/*{k}')]
    kinds_there = sorted({f.suffix for f in paths})
    if len(kinds_there) != 1:
        raise ValueError(
            f'config.data.path={path!r} must be a file, or hold files, of one '
            f'of the kinds {", ".join(_KINDS)}; found '
            f'{" and ".join(kinds_there) or "none"}.'
        )
    intact.refuse_impostors(paths)
    return paths


def _hub_name(path: str) -> tuple[str, str | None, str | None]:
    name, config, split = [*path.split(':'), '', ''][:3]
    return name, config or None, split or None


def _no_path(path: str) -> NoReturn:
    raise ValueError(
        f'config.data.path={path!r} is no file, no folder and no name of a '
        "data set on the hub ('NAME', 'NAME:CONFIG' or 'NAME:CONFIG:SPLIT')."
    )
