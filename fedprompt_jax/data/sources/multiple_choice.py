"""Multiple choice: question, options, answer and perhaps context.

`options` is a list of texts, or ARC's {text: [...], label: [...]}. What the
answers are is decided for the table as a whole (answers.py), or given as
config.data.answers. The context is the template's {pair}.
"""

from collections.abc import Iterator
import itertools
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.tables import answers, cells, official, table, tasks
from fedprompt_jax.data.tables.answers import Answer
from fedprompt_jax.data.tokenizing import Source

COLUMNS = ('question', 'options', 'answer', 'context')
NEEDED = ('question', 'options', 'answer')
LISTS = ('options',)
_CONVENTIONS = (answers.LABELS, *answers.CONVENTIONS)


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path."""
    columns = table.renamed(data.columns, COLUMNS, LISTS)
    name = official.set_name(data.path)
    needed = COLUMNS if columns['context'] != ('context',) else NEEDED

    def read() -> Iterator[Task]:
        rows = table.load(data.path, columns, needed, splits=data.splits)
        rows = rows.answered('answer')
        given = (_answer(*row) for row in rows.rows('options', 'answer'))
        convention = answers.decide(
            given, _CONVENTIONS, data.answers, data.path, _needed
        )
        instances = _instances(rows, convention)
        yield tasks.bare(name, instances)

    content = table.fingerprint(data.path, data.splits)
    return Source(
        data.path,
        tasks.fingerprint(__name__, content, name, columns, data.answers),
        lambda: table.unchanged(read(), data.path, content, data.splits),
        unordered=True,
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns or splits."""
    yield from table.faults(config, COLUMNS, LISTS)
    yield from tasks.unread(config, 'labels', 'metadata')
    yield from tasks.client_faults(config)


def _instances(rows: table.Table, convention: str) -> Iterator[Instance]:
    numbers = itertools.count(1)
    for split, part in rows.by_split().items():
        for where, row in part.rows():
            answer = _answer(where, row)
            right = answers.index(answer, convention)
            if right is None:  # `decide` has seen another row
                tasks.changed(rows.path)
            yield Instance(
                str(next(numbers)),
                cells.text(where, 'question', row['question']),
                (answer.options[right],),
                tuple(answer.options),
                pair=cells.optional_text(where, 'context', row.get('context')),
                split=split,
            )


def _answer(where: str, row: dict[str, Any]) -> Answer:
    """The answer of a row and its options."""
    options: Any = row['options']
    labels: tuple[str, ...] = ()
    if isinstance(options, dict):
        labels = _texts(where, 'options.label', options.get('label') or [])
        options = options.get('text')
    texts = _texts(where, 'options', options)
    if not texts:
        cells.fail(where, 'options', options, 'at least one option')
    if labels and len(labels) != len(texts):
        cells.fail(where, 'options.label', list(labels), f'{len(texts)} labels')
    typed = any(isinstance(o, cells.Number) for o in options)
    return Answer(where, 'answer', row['answer'], texts, texts, labels, typed)


def _texts(where: str, field: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        cells.fail(
            where,
            field,
            value,
            'a list; where each option has a column of its own, say '
            "config.data.columns=('options=FIRST+SECOND',)",
        )
    for i, cell in enumerate(value):
        if cell is None or cell == '':
            cells.fail(where, f'{field}[{i}]', cell, 'text')
    return tuple(
        cells.text(where, f'{field}[{i}]', cell) for i, cell in enumerate(value)
    )


def _needed(answer: Answer) -> str:
    n = len(answer.options)
    return (
        f'an index from 0 to {n - 1} or from 1 to {n}, a letter, or the text '
        'of one of the options'
    )
