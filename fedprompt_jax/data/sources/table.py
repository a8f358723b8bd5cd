"""Tables, read by Hugging Face's `datasets`: files, folders, names on the hub.

Files are .parquet, .jsonl, .json, .csv or .tsv; a folder's are of one of these
kinds and stand for one table, in the order of their names. What is neither is
looked for on the hub, as NAME, NAME:CONFIG or NAME:CONFIG:SPLIT.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
import re
from typing import Any, NoReturn

from ml_collections import config_dict

from fedprompt_jax import files

# How `datasets` reads a kind of file. Text stays as it is written: 'NA' is no
# gap, and a quotation mark in a .tsv is one (GLUE's are written so).
_READERS: dict[str, tuple[str, dict[str, Any]]] = {
    '.parquet': ('parquet', {}),
    '.jsonl': ('json', {}),
    '.json': ('json', {}),
    '.csv': ('csv', {'keep_default_na': False}),
    '.tsv': ('csv', {'keep_default_na': False, 'sep': '\t', 'quoting': 3}),
}
_BATCH = 1000  # rows read at once, for speed
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


def load(
    path: str,
    columns: dict[str, tuple[str, ...]],
    needed: Sequence[str],
    split: str = 'train',
) -> Any:
    """Returns a table as a `datasets.Dataset`.

    Args:
      path: of a file or a folder, or a name on the hub.
      columns: as `renamed` returns them.
      needed: those of them that must be there.
      split: of a name on the hub that says none; 'all' for all of them.

    Raises:
      ValueError: it cannot be read, or a column is missing.
    """
    import datasets

    try:
        if Path(path).exists():
            there = [*map(str, _files(path))]
            reader, options = _READERS[Path(there[0]).suffix]
            found = datasets.load_dataset(
                reader, data_files=there, split='train', **options
            )
        else:
            name, config, named = _hub_name(path)
            found = datasets.load_dataset(name, config, split=named or split)
    except Exception as error:  # of many kinds, none of them documented
        _unreadable(path, error)
    for name in needed:
        for theirs in columns[name]:
            if theirs not in found.column_names:
                raise ValueError(
                    f'config.data.path={path!r}: column {theirs!r} is missing; '
                    f'the columns there are: {", ".join(found.column_names)}. '
                    'If one of them is meant, say config.data.columns='
                    f"('{name}=ITS NAME',)."
                )
    return found


def rows(
    found: Any, columns: dict[str, tuple[str, ...]]
) -> Iterator[dict[str, Any]]:
    """The rows of a `datasets.Dataset` with the source's columns.

    One made of several is a list; one that the data do not have is left out.
    """
    there = {
        name: theirs
        for name, theirs in columns.items()
        if set(theirs) <= set(found.column_names)
    }
    for batch in found.iter(_BATCH):
        parts = {
            name: batch[theirs[0]]
            if len(theirs) == 1
            else [*map(list, zip(*(batch[t] for t in theirs), strict=True))]
            for name, theirs in there.items()
        }
        for values in zip(*parts.values(), strict=True):
            yield dict(zip(parts, values, strict=True))


def _files(path: str) -> list[Path]:
    place = Path(path)
    if place.is_file():
        found = [place] if place.suffix in _READERS else []
    else:
        # A .json beside a data set is as a rule about it.
        kinds = (kind for kind in _READERS if kind != '.json')
        found = sorted(f for kind in kinds for f in place.rglob(f'*{kind}'))
    kinds_there = sorted({f.suffix for f in found})
    if len(kinds_there) != 1:
        raise ValueError(
            f'config.data.path={path!r} must be a file, or hold files, of one '
            f'of the kinds {", ".join(_READERS)}; found '
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


def _unreadable(path: str, error: Exception) -> NoReturn:
    where = '' if Path(path).exists() else ' (on the hub: no such path here)'
    reason = ' '.join(str(error.__cause__ or error).split())[:300]
    raise ValueError(
        f'config.data.path={path!r}{where} could not be read: {reason}'
    ) from error
