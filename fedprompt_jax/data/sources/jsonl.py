"""A user's own federated text: JSON lines of {client, task, input, output}.

`output` is a string, or a list of references of which the first is trained
on. config.data.partition='client' takes the clients as they are. The order of
the lines, and which of the files of a folder they are in, changes no result.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import config_dict

from fedprompt_jax import digests, files, intact
from fedprompt_jax.data import sni_task
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.splits import OFFICIAL
from fedprompt_jax.data.tables import official, table, tasks, text_files
from fedprompt_jax.data.tokenizing import Source

CLIENTS = True
COLUMNS = ('client', 'task', 'input', 'output')


def open_source(data: config_dict.ConfigDict) -> Source:
    """The file at config.data.path, or all *.jsonl of a folder."""
    there = _files(data.path)
    columns = _columns(data)
    split_of = _split_of(data, there)

    def read() -> Iterator[Task]:
        instances: dict[str, list[Instance]] = {}
        for file in there:
            for task, instance in _instances(file, columns, split_of[file]):
                instances.setdefault(task, []).append(instance)
        tasks.check_unchanged(data.path, content, digests.fingerprint(there))
        return (tasks.bare(name, rows) for name, rows in instances.items())

    content = digests.fingerprint(there)
    return Source(
        Path(data.path).name,
        tasks.fingerprint(__name__, content, columns, [*split_of.values()]),
        read,
        unordered=True,
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns or splits."""
    for check in (lambda c: _split_of(c, _files(c.path)), _columns):
        try:
            check(config.data)
        except ValueError as error:
            yield str(error)
    yield from tasks.unread(config, 'labels', 'answers', 'metadata')
    yield from tasks.client_faults(config)


def _columns(data) -> dict[str, str]:
    theirs_by_name = table.renamed(data.columns, COLUMNS)
    return {name: theirs for name, (theirs,) in theirs_by_name.items()}


def _split_of(data, there: list[Path]) -> dict[Path, str]:
    """File -> its split; '' where the data's own splits are not asked for."""
    if data.splits != OFFICIAL:
        return dict.fromkeys(there, '')
    return official.of_files(data.path, there)


def _files(path: str) -> list[Path]:
    place = Path(path)
    paths = [place] if place.is_file() else files.visible(place, '*.jsonl')
    if not paths:
        raise ValueError(
            f'config.data.path={path!r} is no file and no folder with *.jsonl '
            'files; give one whose lines are {client, task, input, output}.'
        )
    intact.refuse_impostors(paths)
    return paths


def _instances(
    file: Path, columns: dict[str, str], split: str
) -> Iterator[tuple[str, Instance]]:
    """Task and instance of each line that is not blank."""
    with file.open('rb') as stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            row = text_files.json_line(file, number, raw)
            for name in columns.values():
                if name not in row:
                    raise ValueError(
                        f'{file}: line {number}: column {name!r} is missing; '
                        f'the columns there are: {", ".join(row) or "none"}. '
                        'If one of them is meant, rename it, or say so in '
                        'config.data.columns.'
                    )
            yield _instance(file, number, row, columns, split)


def _instance(
    file: Path,
    number: int,
    row: dict[str, Any],
    columns: dict[str, str],
    split: str,
) -> tuple[str, Instance]:
    where = f'{file}: line {number}'
    number_of = row[columns['client']]  # clients are often counted
    if isinstance(number_of, int):
        row = row | {columns['client']: str(number_of)}
    values = {
        name: sni_task.string(where, theirs, row[theirs])
        for name, theirs in columns.items()
        if name != 'output'
    }
    for name in ('client', 'task'):
        if not values[name].strip():
            sni_task.fail(where, columns[name], values[name], 'a name')
    outputs = sni_task.filled(where, columns['output'], row[columns['output']])
    return values['task'], Instance(
        f'{file.name}:{number}',
        values['input'],
        outputs,
        client=values['client'],
        split=split,
    )
