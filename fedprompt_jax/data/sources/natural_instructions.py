"""The hub's `Muennighoff/natural-instructions`: a row a reference.

Its columns are task_name, id, definition, inputs and targets. Rows of one id
are one instance with several references. There are no categories: they are
joined by task_name from SNI's task files at config.data.metadata, without
which each task is a type of its own.
"""

from collections.abc import Iterator

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.data import sni, sni_task
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.sources import table, tasks
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
    content = table.fingerprint(data.path)
    metadata = tasks.metadata_fingerprint(data.metadata)
    columns = table.renamed(data.columns, COLUMNS)

    def read() -> Iterator[Task]:
        found = table.load(data.path, columns, COLUMNS, split='all')
        return tasks.with_metadata(
            _tasks(found, columns, data.path), data.metadata
        )

    return Source(
        data.path,
        tasks.fingerprint(__name__, content, metadata, columns),
        read,
        () if data.metadata else (NO_METADATA,),
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns, metadata or lists of splits."""
    yield from table.faults(config, COLUMNS)
    yield from tasks.unread(config, 'labels')
    yield from tasks.metadata_faults(config)


def _tasks(found, columns, path: str) -> Iterator[Task]:
    """Bare tasks by number; one at a time is in memory."""
    (column,) = columns['task_name']
    names = found.select_columns([column]).with_format('arrow')[:]
    coded = names.column(0).dictionary_encode().combine_chunks()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(codes, kind='stable')
    listed = coded.dictionary.to_pylist()
    ends = np.cumsum(np.bincount(codes, minlength=len(listed)))
    for i in sorted(range(len(listed)), key=lambda i: sni.order(listed[i])):
        rows = order[ends[i - 1] if i else 0 : ends[i]]
        yield _task(listed[i], found.select(rows), rows, columns, path)


def _task(name: str, found, numbers: np.ndarray, columns, path: str) -> Task:
    definition = ''
    outputs: dict[tuple[str, str], list[str]] = {}
    for number, row in zip(numbers, table.rows(found, columns), strict=True):
        where = f'{path}: row {number + 1}'
        row = {k: sni_task.string(where, k, row[k]) for k in COLUMNS}
        definition = definition or row['definition']
        key = row['id'], row['inputs']
        outputs.setdefault(key, []).append(row['targets'])
    instances = (Instance(*key, tuple(v)) for key, v in outputs.items())
    return tasks.bare(name, instances, definition=definition)
