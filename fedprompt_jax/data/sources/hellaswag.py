"""HellaSwag as lm-eval reads it: 'activity: context', four endings, the label.

The context is ctx_a and ctx_b, of which the latter begins with a capital and
has no other; without these columns it is ctx as it is. Without activity_label,
or where it is empty, the context stands alone. Marks of WikiHow are taken out
of contexts and endings. (lm-eval: tasks/hellaswag/utils.py.)
"""

from collections.abc import Iterator
import itertools
import re
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.tables import answers, cells, official, table, tasks
from fedprompt_jax.data.tables.answers import Answer
from fedprompt_jax.data.tokenizing import Source

COLUMNS = ('ctx', 'endings', 'label', 'activity_label', 'ctx_a', 'ctx_b')
NEEDED = ('ctx', 'endings', 'label')
_BRACKETS = re.compile(r'\[.*?\]')


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path."""
    columns = table.renamed(data.columns, COLUMNS)
    name = official.set_name(data.path)
    # A column that is given another name must be there.
    needed = [n for n in COLUMNS if n in NEEDED or columns[n] != (n,)]

    def read() -> Iterator[Task]:
        rows = table.load(data.path, columns, needed, splits=data.splits)
        rows = rows.answered('label')
        labels = (_answer(*row) for row in rows.rows('endings', 'label'))
        convention = answers.decide(
            labels, ('index0',), data.answers, data.path, _needed
        )
        yield tasks.bare(name, _instances(rows, convention))

    content = table.fingerprint(data.path, data.splits)
    return Source(
        data.path,
        tasks.fingerprint(__name__, content, name, columns, data.answers),
        lambda: table.unchanged(read(), data.path, content, data.splits),
        unordered=True,
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns or splits."""
    yield from table.faults(config, COLUMNS)
    yield from tasks.unread(config, 'labels', 'metadata')
    yield from tasks.client_faults(config)


def cleaned(text: str) -> str:
    """A text without WikiHow's marks, as lm-eval cleans it.

    >>> cleaned('How to sit [title] Find a chair. [step] Sit  down.')
    'How to sit. Find a chair. Sit down.'
    """
    text = text.strip().replace(' [title]', '. ')
    return _BRACKETS.sub('', text).replace('  ', ' ')


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
                cleaned(_context(where, row)),
                (answer.options[right],),
                tuple(answer.options),
                split=split,
            )


def _context(where: str, row: dict[str, Any]) -> str:
    activity, first, second = (
        cells.optional_text(where, name, row.get(name))
        for name in ('activity_label', 'ctx_a', 'ctx_b')
    )
    context = cells.text(where, 'ctx', row['ctx'])
    if first or second:
        context = f'{first} {second.capitalize()}'
    return f'{activity}: {context}' if activity else context


def _answer(where: str, row: dict[str, Any]) -> Answer:
    """The label of a row and its cleaned endings."""
    value = row['endings']
    if not isinstance(value, list) or not value:
        cells.fail(where, 'endings', value, 'a list of endings')
    endings = tuple(
        cleaned(cells.text(where, f'endings[{i}]', cell))
        for i, cell in enumerate(value)
    )
    for i, ending in enumerate(endings):
        if not ending:
            cells.fail(where, f'endings[{i}]', value[i], 'text')
    return Answer(where, 'label', row['label'], endings, endings)


def _needed(answer: Answer) -> str:
    return f'a number from 0 to {len(answer.options) - 1}'
