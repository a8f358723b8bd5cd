"""Super-NaturalInstructions on disk: its folder of task files.

The canonical form is the one on GitHub (allenai/natural-instructions, Wang et
al. 2022): `tasks/taskNNN_*.json`, one JSON object a task, and the official
splits in `splits/<name>/{train,test,excluded}_tasks.txt`.
"""

from collections.abc import Iterator, Mapping
import hashlib
import json
import math
import pathlib
import re
from typing import Any

from fedprompt_jax import digests, files, intact
from fedprompt_jax.data.sni_task import (
    OPTIONAL,
    Instance,
    Task,
    parse_task,
)

__all__ = [
    'Instance',
    'Task',
    'content_fingerprint',
    'fingerprint_of_raw',
    'iter_folder',
    'missing_metadata',
    'order',
    'parse_task',
    'read_folder',
    'read_splits',
    'read_task',
    'task_files',
]


def task_files(path: str | pathlib.Path) -> list[pathlib.Path]:
    """Returns a folder's task files by task number, then name.

    Args:
      path: a folder with `tasks/task*.json`, or one that holds them itself.

    Raises:
      ValueError: there is no such folder, or no task file in it.
    """
    folder = pathlib.Path(path)
    if not folder.is_dir():
        raise ValueError(
            f'{folder} is not a folder; give the folder that holds'
            ' tasks/task*.json (a clone of allenai/natural-instructions, say).'
        )
    for place in (folder / 'tasks', folder):
        paths = files.visible(place, 'task*.json')
        if paths:
            intact.refuse_impostors(paths)
            return sorted(paths, key=lambda f: order(f.stem))
    raise ValueError(
        f'{folder} has no task file; looked for {folder}/tasks/task*.json and'
        f' {folder}/task*.json.'
    )


def order(name: str) -> tuple[float, str]:
    """A key that sorts tasks by number, then name."""
    match = re.match(r'task(\d+)', name)
    return (int(match[1]) if match else math.inf, name)


def iter_folder(path: str | pathlib.Path) -> Iterator[Task]:
    """Yields a folder's tasks one by one, in `task_files` order.

    Raises:
      ValueError: no folder, no task files, a file that is not UTF-8 or not JSON
        (it names line and column), or a field `parse_task` rejects.
    """
    for file in task_files(path):
        yield read_task(file)


def read_task(file: pathlib.Path) -> Task:
    """Returns the task of one file; errors as `iter_folder`."""
    return parse_task(file.stem, _read_json(file), str(file))


def read_folder(path: str | pathlib.Path) -> list[Task]:
    """Returns all of a folder's tasks; order and errors as `iter_folder`."""
    return list(iter_folder(path))


def read_splits(
    path: str | pathlib.Path, name: str
) -> dict[str, tuple[str, ...]]:
    """Returns an official split: its 'train', 'test' and 'excluded' names.

    A listed task needs no file, so that a subset of SNI can use SNI's lists.

    Args:
      path: the folder that holds `splits/`.
      name: the split's name, `default` say.

    Raises:
      ValueError: there is no such split, its train or test list is missing or
        empty, or a task is in two lists.
    """
    folder = pathlib.Path(path) / 'splits' / name
    if not folder.is_dir():
        there = sorted(
            f.name for f in folder.parent.glob('[!.]*') if f.is_dir()
        )
        raise ValueError(
            f'{folder} is not a folder; splits there: {there or "none"}.'
        )
    lists: dict[str, tuple[str, ...]] = {}
    for key in ('train', 'test', 'excluded'):
        file = folder / f'{key}_tasks.txt'
        lines = _read_text(file).split('\n') if file.is_file() else []
        names = tuple(dict.fromkeys(n.strip() for n in lines if n.strip()))
        if not names and key != 'excluded':
            raise ValueError(f'{file} is missing or empty; it must list tasks.')
        for other, listed in lists.items():
            if both := sorted(set(names) & set(listed)):
                raise ValueError(
                    f'{folder}: {both[0]} is in {other}_tasks.txt and in'
                    f' {key}_tasks.txt ({len(both)} such); leave it in one.'
                )
        lists[key] = names
    return lists


def content_fingerprint(path: str | pathlib.Path) -> str:
    """Returns the sha256 (hex) of the task files' names and contents."""
    return digests.fingerprint(task_files(path))


def missing_metadata(path: str | pathlib.Path) -> tuple[str, ...]:
    """Returns a warning that counts the files without descriptive metadata.

    Keys are looked for in the bytes of the files: SNI is gigabytes of JSON,
    and this is asked at each start.

    Returns:
      The warning, or nothing where all files have all of it.
    """
    there = task_files(path)
    lacking = dict.fromkeys(OPTIONAL, 0)
    for file in there:
        raw = file.read_bytes()
        for key in OPTIONAL:
            lacking[key] += not re.search(_has_key(key), raw)
    said = [f'{n} lack {key}' for key, n in lacking.items() if n]
    if not said:
        return ()
    warning = (
        f'Of {len(there)} task files, {", ".join(said)}; each is read as if '
        'these keys were empty.'
    )
    if lacking['Output_language']:
        warning += (
            ' ROUGE-L compares outputs in an unknown language by words where '
            'its tokenizer sees all of them, else by characters.'
        )
    return (warning,)


def _has_key(key: str) -> bytes:
    return rb'"%s"\s*:\s*+(?!null|NaN)' % key.encode()


def fingerprint_of_raw(raw: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the sha256 (hex) of a generated corpus, whatever its key order.

    Args:
      raw: task name -> JSON object in SNI's schema.
    """
    total = hashlib.sha256()
    for name in sorted(raw):
        text = json.dumps(raw[name], sort_keys=True, separators=(',', ':'))
        total.update(f'{name} {text}\n'.encode())
    return total.hexdigest()


def _read_text(file: pathlib.Path) -> str:
    try:
        return file.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as e:
        raise ValueError(
            f'{file}: byte {e.start} is not UTF-8 ({e.reason});'
            ' save it as UTF-8.'
        ) from e


def _read_json(file: pathlib.Path) -> Any:
    try:
        return json.loads(_read_text(file))
    except json.JSONDecodeError as e:
        raise ValueError(
            f'{file}: not JSON at line {e.lineno}, column {e.colno}: {e.msg}.'
        ) from e
    except RecursionError as e:
        raise ValueError(
            f'{file}: nested far deeper than a task is; mend the file.'
        ) from e
