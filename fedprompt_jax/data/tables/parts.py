"""The files that a table consists of, or what the hub has of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import dataclasses
from pathlib import Path
from typing import Any, NoReturn

from fedprompt_jax.data.tables import arrow, text_files

Columns = Mapping[str, Sequence[str]]  # of the source -> those of the data


@dataclasses.dataclass(frozen=True)
class Part:
    """A file of a table, or all that the hub has of it.

    Attributes:
      where: what errors call it.
      names: of its columns.
      read: yields rows of the columns named, as cells (cells.py), and perhaps
        of others; reads anew at each call.
      classes: column -> the names of its classes, where it has such.
      more: whether later rows may have columns besides `names`.
      advice: what to do where a column is missing; '' for nothing more.
      split: one of splits.SPLITS, by the data's own splits; '' where they are
        not asked for.
    """

    where: str
    names: Sequence[str]
    read: Callable[[Sequence[str]], Iterator[dict[str, Any]]]
    classes: arrow.Classes = dataclasses.field(default_factory=dict)
    more: bool = False
    advice: str = ''
    split: str = ''


def of_file(path: str, file: Path, needed: Columns) -> Part:
    """A file, of which the header or a first row is read.

    Args:
      path: config.data.path, for errors.
      file: one of its files.
      needed: columns that must be there.

    Raises:
      ValueError: it cannot be read.
    """
    if file.suffix == '.parquet':
        return _of_parquet(path, file)
    if file.suffix in ('.json', '.jsonl'):
        return _of_json(file, needed)
    header = text_files.csv_header(file)
    return Part(
        str(file),
        header,
        lambda _: text_files.csv_rows(file),
        advice=text_files.other_delimiter(file, header),
    )


def _of_json(file: Path, needed: Columns) -> Part:
    wanted = {theirs for names in needed.values() for theirs in names}
    seen: dict[str, None] = {}
    for row in text_files.json_rows(file):
        seen |= dict.fromkeys(row)
        if seen.keys() >= wanted:
            break
    return Part(
        str(file), [*seen], lambda _: text_files.json_rows(file), more=True
    )


def _of_parquet(path: str, file: Path) -> Part:
    try:
        names, classes = arrow.parquet_columns(file)
    except Exception as error:  # of many kinds, none of them documented
        unreadable(path, str(file), error)

    def read(chosen: Sequence[str]) -> Iterator[dict[str, Any]]:
        try:
            yield from arrow.parquet_rows(file, chosen, classes)
        except Exception as error:
            unreadable(path, str(file), error)

    return Part(str(file), names, read, classes)


def of_hub(
    path: str, name: str, config: str | None, named: str | None, split: str
) -> Part:
    """Reads a split of a set on the hub; `path` may name the split."""
    import datasets

    try:
        dataset = datasets.load_dataset(name, config, split=named or split)
    except Exception as error:
        unreadable(path, path, error)
    classes = arrow.classes_of(dataset.features)
    return Part(
        path,
        dataset.column_names,
        lambda names: arrow.dataset_rows(dataset, names, classes),
        classes,
    )


def hub_splits(path: str, name: str, config: str | None) -> list[str]:
    """The names of the splits that a set on the hub has."""
    import datasets

    try:
        return datasets.get_dataset_split_names(name, config)
    except Exception as error:
        unreadable(path, path, error)


def have(parts: Sequence[Part], names: Sequence[str]) -> bool:
    """Whether each of the columns is in a part, or may be."""
    return all(any(p.more or n in p.names for p in parts) for n in names)


def check(
    path: str, parts: Sequence[Part], columns: Columns, needed: Columns
) -> None:
    """Raises ValueError if the parts are no table with these columns.

    Args:
      path: config.data.path.
      parts: what is there.
      columns: all that are read.
      needed: those of them that must be there.
    """
    for part in parts:
        at = f'config.data.path={path!r}'
        at += f' ({part.where})' if part.where != path else ''
        names = [name for name in part.names if name]
        if twice := [n for i, n in enumerate(names) if n in names[:i]]:
            raise ValueError(
                f'{at}: column {twice[0]!r} is there twice; rename or remove '
                'one.'
            )
        if part.names or not part.more:  # not JSON lines without a line
            _check_needed(at, part, needed)
    for theirs in columns.values():
        for name in theirs:
            _check_classes(path, parts, name)


def _check_needed(at: str, part: Part, needed: Columns) -> None:
    for name, names in needed.items():
        for theirs in names:
            if theirs not in part.names:
                raise ValueError(
                    f'{at}: column {theirs!r} is missing; the columns there '
                    f'are: {", ".join(part.names)}. If one of them is meant, '
                    f"say config.data.columns=('{name}=ITS NAME',)."
                    f'{part.advice}'
                )


def _check_classes(path: str, parts: Sequence[Part], column: str) -> None:
    first, *others = parts
    classes = first.classes.get(column)
    for other in others:
        if (theirs := other.classes.get(column)) != classes:
            raise ValueError(
                f'config.data.path={path!r}: column {column!r} has the classes '
                f'{classes or "none"} in {first.where} and {theirs or "none"} '
                f'in {other.where}; a table has the same in all of its files.'
            )


def unreadable(path: str, where: str, error: Exception) -> NoReturn:
    """Raises ValueError for what a library could not read."""
    at = f' ({where})' if where != path else ''
    if not Path(path).exists():
        at = ' (on the hub: no such path here)'
    reason = ' '.join(str(error.__cause__ or error).split())[:300]
    raise ValueError(
        f'config.data.path={path!r}{at} could not be read: {reason}'
    ) from error
