"""The hub's `Muennighoff/natural-instructions`: a row a reference.

Its columns are task_name, id, definition, inputs and targets. Rows of one id
are one instance with several references. There are no categories: they are
joined by task_name from SNI's task files at config.data.metadata, without
which each task is a type of its own.
"""

import array
from collections.abc import Iterable, Iterator
import json
from pathlib import Path
import tempfile
from typing import IO

from ml_collections import config_dict

from fedprompt_jax.data import sni
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.tables import cells, table, tasks
from fedprompt_jax.data.tokenizing import Source

COLUMNS = ('task_name', 'id', 'definition', 'inputs', 'targets')
NO_METADATA = (
    'The data have no categories, domains or languages: each task is a type '
    'of its own, and ROUGE-L compares words of a-z and 0-9 where an answer has '
    "no other letters or signs, else characters. A folder of SNI's task files "
    'as config.data.metadata gives them.'
)


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path, all of its splits together."""
    content = table.fingerprint(data.path, data.splits)
    metadata = tasks.metadata_fingerprint(data.metadata)
    columns = table.renamed(data.columns, COLUMNS)

    def read() -> Iterator[Task]:
        rows = table.load(
            data.path, columns, COLUMNS, split='all', splits=data.splits
        )
        bare = table.unchanged(_tasks(rows), data.path, content, data.splits)
        yield from tasks.with_metadata(bare, data.metadata)
        now = tasks.metadata_fingerprint(data.metadata)
        tasks.check_unchanged(data.metadata, metadata, now)

    return Source(
        data.path,
        tasks.fingerprint(__name__, content, metadata, columns),
        read,
        tasks.metadata_warnings(data.metadata)
        if data.metadata
        else (NO_METADATA,),
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns, metadata or lists of splits."""
    yield from table.faults(config, COLUMNS)
    yield from tasks.unread(config, 'labels', 'answers')
    yield from tasks.metadata_faults(config)


def _tasks(rows: table.Table) -> Iterator[Task]:
    """Bare tasks by number; one at a time is in memory.

    Rows come in any order and are more than memory may hold. They wait in a
    file without a name, which disappears with this process at the latest.
    """
    import datasets

    folder = Path(datasets.config.HF_DATASETS_CACHE)  # has room for such
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as waiting:
        starts: dict[str, array.array] = {}
        end = 0
        for split, part in rows.by_split().items():
            for where, row in part.rows():
                texts = [cells.text(where, k, row[k]) for k in COLUMNS]
                starts.setdefault(texts[0], array.array('q')).append(end)
                line = json.dumps([*texts[1:], split]).encode()
                end += waiting.write(line + b'\n')
        for name in sorted(starts, key=sni.order):
            yield _task(name, _lines(waiting, starts[name]))


def _lines(file: IO[bytes], starts: Iterable[int]) -> Iterator[list[str]]:
    for start in starts:
        file.seek(start)
        yield json.loads(file.readline())


def _task(name: str, rows: Iterable[list[str]]) -> Task:
    first = ''
    outputs: dict[tuple[str, str, str], list[str]] = {}
    for id_, definition, inputs, target, split in rows:
        first = first or definition
        outputs.setdefault((id_, inputs, split), []).append(target)
    instances = (
        Instance(id_, inputs, tuple(targets), split=split)
        for (id_, inputs, split), targets in outputs.items()
    )
    return tasks.bare(name, instances, definition=first)
