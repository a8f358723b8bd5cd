"""Multiple choice: question, options, answer and perhaps context.

`options` is a list of texts, or ARC's {text: [...], label: [...]}. `answer`
is, in this order: one of ARC's labels, the text of an option, its index from
0, or its letter. The context is the template's {pair}.
"""

from collections.abc import Iterator
from pathlib import Path
import string
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.data import sni_task
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.sources import table, tasks
from fedprompt_jax.data.tokenizing import Source

COLUMNS = ('question', 'options', 'answer', 'context')
NEEDED = ('question', 'options', 'answer')
LISTS = ('options',)


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path."""
    columns = table.renamed(data.columns, COLUMNS, LISTS)
    needed = COLUMNS if columns['context'] != ('context',) else NEEDED

    def read() -> Iterator[Task]:
        found = table.load(data.path, columns, needed)
        instances = _instances(table.rows(found, columns), data.path)
        ordered = tasks.in_canonical_order(instances)
        yield tasks.bare(Path(data.path).stem, ordered)

    content = table.fingerprint(data.path)
    return Source(
        data.path, tasks.fingerprint(__name__, content, columns), read
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns or splits."""
    yield from table.faults(config, COLUMNS, LISTS)
    yield from tasks.unread(config, 'labels', 'metadata')
    yield from tasks.client_faults(config)


def _instances(rows, path: str) -> Iterator[Instance]:
    for number, row in enumerate(rows, start=1):
        where = f'{path}: row {number}'
        options: Any = row['options']
        labels: list[str] = []
        if isinstance(options, dict):
            labels = options.get('label', [])
            options = options.get('text')
        options = sni_task.filled(where, 'options', options)
        right = options[_answer(where, row['answer'], options, labels)]
        yield Instance(
            str(number),
            sni_task.string(where, 'question', row['question']),
            (right,),
            options,
            pair=sni_task.string(where, 'context', row.get('context') or ''),
        )


def _answer(where: str, answer: Any, options: tuple[str, ...], labels) -> int:
    """Index of the right option."""
    if isinstance(answer, str):
        for names in (labels, options):
            if answer in names:
                return list(names).index(answer)
        if answer.isdecimal():
            answer = int(answer)
        elif len(answer) == 1 and answer in string.ascii_uppercase:
            answer = string.ascii_uppercase.index(answer)
    if isinstance(answer, int) and 0 <= answer < len(options):
        return answer
    sni_task.fail(
        where,
        'answer',
        answer,
        f'an index from 0 to {len(options) - 1}, a letter, or the text of '
        'one of the options',
    )
