"""Tasks of sources that have no task files: bare, or with SNI's metadata."""

from collections.abc import Iterable, Iterator
import dataclasses
import hashlib
import json
from typing import Any, NoReturn

from ml_collections import config_dict

from fedprompt_jax.data import sni, splits
from fedprompt_jax.data.sni_task import Instance, Task


def bare(
    name: str,
    instances: Iterable[Instance],
    *,
    category: str = '',
    definition: str = '',
) -> Task:
    """A task of which nothing else is known; a type of its own by default."""
    nothing = {f.name: () for f in dataclasses.fields(Task) if f.name != 'name'}
    known: dict[str, Any] = {
        'definition': definition,
        'categories': (category or name,),
        'instances': tuple(instances),
    }
    return Task(name, **{**nothing, **known})


def with_metadata(tasks: Iterable[Task], folder: str) -> Iterator[Task]:
    """The tasks with the categories, domains, languages ... of their files.

    Args:
      tasks: bare ones; definition and instances stay theirs.
      folder: of SNI task files; '' for none, and the tasks stay as they are.

    Raises:
      ValueError: a task has no file there.
    """
    files = {f.stem: f for f in sni.task_files(folder)} if folder else {}
    for task in tasks:
        if not folder:
            yield task
            continue
        if task.name not in files:
            raise ValueError(
                f'config.data.metadata={folder!r} has no {task.name}.json, '
                'whose categories are needed; add it, or give no folder.'
            )
        file = files[task.name]
        original = sni.read_task(file)
        yield dataclasses.replace(
            original, definition=task.definition, instances=task.instances
        )


def metadata_faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with config.data.metadata and the splits it may hold."""
    c = config.data
    listed = c.splits not in splits.NO_LISTS
    if listed and not c.metadata:
        yield (
            f'config.data.splits={c.splits!r} is no rule, and source='
            f'{c.source!r} has no lists of splits; give config.data.metadata, '
            f'the folder that has splits/{c.splits}.'
        )
    if not c.metadata:
        return
    try:
        sni.task_files(c.metadata)
        if listed:
            sni.read_splits(c.metadata, c.splits)
    except ValueError as error:
        yield f'config.data.metadata={c.metadata!r}: {error}'


def client_faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong where clients are split, and not SNI's task types."""
    c = config.data
    if c.splits not in (splits.CLIENTS, *splits.OF_TRAINING_CLIENTS):
        yield (
            f'config.data.splits={c.splits!r} splits by task type, which '
            f"source={c.source!r} does not know; use 'clients', 'within' or "
            "'official'."
        )


def no_official(config: config_dict.ConfigDict, instead: str) -> Iterator[str]:
    """The fault that a source has no splits of its own, and what to use."""
    c = config.data
    if c.splits == splits.OFFICIAL:
        yield (
            f"config.data.splits='official': source={c.source!r} has no "
            f'instances of its own for validation and test; {instead}.'
        )


def unread(config: config_dict.ConfigDict, *keys: str) -> Iterator[str]:
    """Faults of keys that a source does not read, where they are given."""
    c = config.data
    for key in keys:
        if c[key]:
            yield (
                f'config.data.{key}={c[key]!r} is not read by source='
                f'{c.source!r}; leave it empty.'
            )


def fingerprint(*parts: Any) -> str:
    """The sha256 (hex) of values that JSON can write."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def check_unchanged(path: str, before: str, now: str) -> None:
    """Raises ValueError if data have another fingerprint than before."""
    if now != before:
        changed(path)


def changed(path: str) -> NoReturn:
    """Raises ValueError for data that changed while they were being read."""
    raise ValueError(
        f'The data at {path!r} changed while they were being read; run again '
        'when they are whole.'
    )


def metadata_fingerprint(folder: str) -> str:
    """The content of config.data.metadata; '' for none."""
    return sni.content_fingerprint(folder) if folder else ''


def metadata_warnings(folder: str) -> tuple[str, ...]:
    """What the files of config.data.metadata lack; none for no folder."""
    return sni.missing_metadata(folder) if folder else ()
