"""Open questions: question, and answers that are all right, without options.

`answers` is a list of texts, such as WebQuestions', or one text. The first is
trained on. An answer is generated, and is right where it begins with one of
them to the letter (evaluation/beginnings.py): lm-eval's exact match of `webqs`.
"""

from collections.abc import Iterator
import itertools
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.tables import cells, official, table, tasks
from fedprompt_jax.data.tokenizing import Source

COLUMNS = ('question', 'answers')


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path."""
    columns = table.renamed(data.columns, COLUMNS)
    name = official.set_name(data.path)

    def read() -> Iterator[Task]:
        rows = table.load(data.path, columns, COLUMNS, splits=data.splits)
        yield tasks.bare(name, _instances(rows))

    content = table.fingerprint(data.path, data.splits)
    return Source(
        data.path,
        tasks.fingerprint(__name__, content, name, columns),
        lambda: table.unchanged(read(), data.path, content, data.splits),
        unordered=True,
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns or splits."""
    yield from table.faults(config, COLUMNS)
    yield from tasks.unread(config, 'labels', 'answers', 'metadata')
    yield from tasks.client_faults(config)


def _instances(rows: table.Table) -> Iterator[Instance]:
    numbers = itertools.count(1)
    for split, part in rows.by_split().items():
        for where, row in part.rows():
            yield Instance(
                str(next(numbers)),
                cells.text(where, 'question', row['question']),
                _answers(where, row['answers']),
                split=split,
                beginning=True,
            )


def _answers(where: str, value: Any) -> tuple[str, ...]:
    """The texts of a cell, at least one and none of them blank."""
    values = value if isinstance(value, list) else [value]
    if not values:
        cells.fail(where, 'answers', value, 'at least one answer')
    for i, cell in enumerate(values):
        if cells.nothing(cell):  # every output begins with nothing
            cells.fail(where, f'answers[{i}]', cell, 'text')
    return tuple(
        cells.text(where, f'answers[{i}]', cell)
        for i, cell in enumerate(values)
    )
