"""TensorFlow Datasets' `natural_instructions`, read without TensorFlow.

It must have been prepared in a format with random access:
`tfds.builder('natural_instructions', file_format='array_record')
.download_and_prepare()`. It keeps less than SNI's files have: the first
reference alone, in an order of its own, and no categories; those come from
task files at config.data.metadata.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import config_dict

from fedprompt_jax import digests, files
from fedprompt_jax.data import sni
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.sources import natural_instructions
from fedprompt_jax.data.tables import tasks
from fedprompt_jax.data.tokenizing import Source

NAME = 'natural_instructions'
FEATURES = ('task_name', 'id', 'definition', 'input', 'output')
LOSSES = (
    "TensorFlow Datasets' natural_instructions has the first reference of an "
    'instance alone, so that scores are lower than against all of them.'
)


def open_source(data: config_dict.ConfigDict) -> Source:
    """The prepared data under config.data.path, tfds's data_dir."""
    folder = _prepared(data.path)

    def fingerprint() -> str:
        content = digests.fingerprint(files.visible(folder, '*'))
        metadata = tasks.metadata_fingerprint(data.metadata)
        return tasks.fingerprint(__name__, content, metadata)

    before = fingerprint()

    def read() -> Iterator[Task]:
        yield from tasks.with_metadata(_tasks(folder), data.metadata)
        tasks.check_unchanged(data.path, before, fingerprint())

    more = () if data.metadata else (natural_instructions.NO_METADATA,)
    return Source(
        f'tfds {NAME}',
        before,
        read,
        (LOSSES, *more, *tasks.metadata_warnings(data.metadata)),
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, metadata or lists of splits."""
    try:
        _prepared(config.data.path)
    except ValueError as error:
        yield str(error)
    yield from tasks.no_official(
        config, "use 'paper', 'random', 'clients', 'within' or lists of tasks"
    )
    yield from tasks.unread(config, 'columns', 'labels', 'answers')
    yield from tasks.metadata_faults(config)


def _prepared(path: str) -> Path:
    """The folder of the newest version: data_dir/natural_instructions/1.0.1."""
    infos = [
        *files.visible(Path(path), 'dataset_info.json'),
        *files.visible(Path(path), f'{NAME}/*/dataset_info.json'),
    ]
    if not infos:
        raise ValueError(
            f'config.data.path={path!r} is no data_dir of TensorFlow Datasets: '
            f'it has no {NAME}/VERSION/dataset_info.json. Prepare it with '
            f"tfds.builder({NAME!r}, data_dir=..., file_format='array_record')"
            '.download_and_prepare().'
        )
    return max(infos, key=lambda f: _version(f.parent.name)).parent


def _version(name: str) -> list[int]:
    return [int(part) for part in name.split('.') if part.isdigit()]


def _tasks(folder: Path) -> Iterator[Task]:
    """Bare tasks by number; one at a time is in memory."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    there = list(builder.info.features)
    for name in FEATURES:
        if name not in there:
            raise ValueError(
                f'{folder}: feature {name!r} is missing; the features there '
                f'are: {", ".join(there)}. Prepare version 1.0.1 or later.'
            )
    try:
        source = builder.as_data_source(split='train')
    except NotImplementedError as error:
        raise ValueError(
            f'{folder} was prepared as {builder.info.file_format.value}, which '
            "has no random access; prepare it with file_format='array_record'."
        ) from error
    rows: dict[str, list[int]] = {}
    for i, row in enumerate(source):
        rows.setdefault(_text(row['task_name']), []).append(i)
    for name in sorted(rows, key=sni.order):
        yield _task(name, [source[i] for i in rows[name]])


def _task(name: str, rows: list[dict[str, Any]]) -> Task:
    instances = (
        Instance(_text(r['id']), _text(r['input']), (_text(r['output']),))
        for r in rows
    )
    definition = _text(rows[0]['definition'])
    return tasks.bare(name, instances, definition=definition)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
