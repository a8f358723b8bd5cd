"""RACE as lm-eval asks it: an article's last question, the others solved.

A row is a question, as on the hub; an article's questions have one example_id,
and their order is that of the rows. The article is the template's {pair}, and
{input} has the earlier questions with their answers before the last one. (lm-
eval: tasks/race/preprocess_race.py.) Where each question is to be asked,
`multiple_choice` reads the same rows.
"""

from collections.abc import Iterator, Sequence
import itertools
from typing import Any, NamedTuple

from ml_collections import config_dict

from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.tables import answers, cells, official, table, tasks
from fedprompt_jax.data.tables.answers import Answer
from fedprompt_jax.data.tokenizing import Source

COLUMNS = ('example_id', 'article', 'question', 'options', 'answer')
LISTS = ('options',)
_BLANK = '  _  .'  # ends a question that the answer completes


class Problem(NamedTuple):
    """A question, its options, and which of them is right."""

    question: str
    options: tuple[str, ...]
    right: int


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path."""
    columns = table.renamed(data.columns, COLUMNS, LISTS)
    name = official.set_name(data.path)

    def read() -> Iterator[Task]:
        rows = table.load(data.path, columns, COLUMNS, splits=data.splits)
        given = (_answer(*row) for row in rows.rows('options', 'answer'))
        convention = answers.decide(
            given, answers.CONVENTIONS, data.answers, data.path, _needed
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
    yield from table.faults(config, COLUMNS, LISTS)
    yield from tasks.unread(config, 'labels', 'metadata')
    yield from tasks.client_faults(config)


def query(problems: Sequence[Problem]) -> str:
    """The last question, behind the others and their answers.

    >>> first = Problem('Who came?', ('Ann', 'Bob'), 1)
    >>> second = Problem('She was  _  .', ('old', 'ill'), 0)
    >>> print(query([first, second, Problem('Why?', ('So.',), 0)]))
    Question: Who came?
    Answer: Bob
    She was old
    Why?
    """
    *solved, last = problems
    return ''.join(map(_solved, solved)) + last.question


def _solved(problem: Problem) -> str:
    answer = problem.options[problem.right]
    if problem.question.endswith(_BLANK):
        return f'{problem.question.removesuffix(_BLANK[1:])}{answer}\n'
    return f'Question: {problem.question}\nAnswer: {answer}\n'


def _instances(rows: table.Table, convention: str) -> Iterator[Instance]:
    numbers = itertools.count(1)
    for split, part in rows.by_split().items():
        articles: dict[str, str] = {}
        problems: dict[str, list[Problem]] = {}
        for where, row in part.rows():
            answer = _answer(where, row)
            right = answers.index(answer, convention)
            if right is None:  # `decide` has seen another row
                tasks.changed(rows.path)
            name = cells.text(where, 'example_id', row['example_id'])
            article = cells.text(where, 'article', row['article'])
            if articles.setdefault(name, article) != article:
                raise ValueError(
                    f'{where}: article: another one than that of an earlier '
                    f'row with example_id={name!r}; give it an id of its own.'
                )
            question = cells.text(where, 'question', row['question'])
            problem = Problem(question, tuple(answer.options), right)
            problems.setdefault(name, []).append(problem)
        for name, asked in problems.items():
            last = asked[-1]
            yield Instance(
                str(next(numbers)),
                query(asked),
                (last.options[last.right],),
                last.options,
                pair=articles[name],
                split=split,
            )


def _answer(where: str, row: dict[str, Any]) -> Answer:
    """The answer of a row and its options."""
    value = row['options']
    if not isinstance(value, list) or not value:
        cells.fail(where, 'options', value, 'a list of options')
    options = tuple(
        cells.text(where, f'options[{i}]', cell) for i, cell in enumerate(value)
    )
    for i, option in enumerate(options):
        if not option:
            cells.fail(where, f'options[{i}]', value[i], 'text')
    return Answer(where, 'answer', row['answer'], options, options)


def _needed(answer: Answer) -> str:
    n = len(answer.options)
    return f'a letter, the last of which is that of option {n}, or its number'
