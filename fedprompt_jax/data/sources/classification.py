"""Classification sets: text, label and perhaps text_pair, with label words.

config.data.labels are the words, class by class. A label is the name of one,
which is the word itself or stands before it ('entailment=Yes'), or counts them
from 0 (as classes of the hub and truth values do) or from 1; which of these is
decided for the table as a whole (answers.py), or given as config.data.answers.
Where names are given, labels are names: '1=good' is for those that are 1.

Each word is a task of its own, '<set>-<word>', and its category: what skews
task types between clients skews labels.
"""

from collections.abc import Iterator, Sequence
import itertools
import logging
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.tables import answers, cells, official, table, tasks
from fedprompt_jax.data.tables.answers import Answer
from fedprompt_jax.data.tokenizing import Source

_LOG = logging.getLogger(__name__)

COLUMNS = ('text', 'label', 'text_pair')
NEEDED = ('text', 'label')


def open_source(data: config_dict.ConfigDict) -> Source:
    """The table at config.data.path."""
    columns = table.renamed(data.columns, COLUMNS)
    labels = tuple(data.labels)
    given = [theirs for theirs in columns['text_pair'] if theirs != 'text_pair']
    needed = (*NEEDED, 'text_pair') if given else NEEDED

    def read() -> Iterator[Task]:
        rows = table.load(data.path, columns, needed, splits=data.splits)
        rows = rows.answered('label')
        return _tasks(rows, labels, data.answers)

    content = table.fingerprint(data.path, data.splits)
    return Source(
        data.path,
        tasks.fingerprint(
            __name__,
            content,
            official.set_name(data.path),
            columns,
            labels,
            data.answers,
        ),
        lambda: table.unchanged(read(), data.path, content, data.splits),
        unordered=True,
    )


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with path, columns, label words or splits."""
    yield from table.faults(config, COLUMNS)
    yield from tasks.unread(config, 'metadata')
    yield from tasks.client_faults(config)
    labels = config.data.labels
    entries = [_entry(label) for label in labels]
    different = all(
        len({entry[i] for entry in entries} - {''}) == len(labels)
        for i in (0, 1)
    )
    if len(labels) < 2 or not different:
        yield (
            f'config.data.labels={labels!r} must be a word for each class, at '
            "least two and all different, such as ('terrible', 'great') or "
            "('entailment=Yes', 'not_entailment=No')."
        )


def _entry(label: str) -> tuple[str, str]:
    """Name and word of an entry of config.data.labels."""
    name, equals, word = label.partition('=')
    return (name, word) if equals else (label, label)


def _tasks(
    rows: table.Table, labels: Sequence[str], given: str
) -> Iterator[Task]:
    path = rows.path
    _check_classes(rows, labels)
    names = tuple(_entry(label)[0] for label in labels)
    words = tuple(_entry(label)[1] for label in labels)

    def answer(where: str, row: dict[str, Any]) -> Answer:
        return Answer(where, 'label', row['label'], words, names)

    named = any('=' in label for label in labels)
    convention = answers.decide(
        (answer(*row) for row in rows.rows('label')),
        ('text',) if named else ('text', 'index0', 'index1'),
        given,
        path,
        _needed_name if named else _needed,
    )
    by_word: dict[str, list[Instance]] = {word: [] for word in words}
    numbers = itertools.count(1)
    for split, part in rows.by_split().items():
        for where, row in part.rows():
            right = answers.index(answer(where, row), convention)
            if right is None:  # `decide` has seen another row
                tasks.changed(path)
            word = words[right]
            text = cells.text(where, 'text', row['text'])
            pair = cells.optional_text(where, 'text_pair', row.get('text_pair'))
            instance = Instance(
                str(next(numbers)), text, (word,), words, pair=pair, split=split
            )
            by_word[word].append(instance)
    name = official.set_name(path)
    for word, instances in by_word.items():
        if not instances:
            _LOG.warning('%s: no row has the label of %r.', path, word)
        if instances:
            yield tasks.bare(f'{name}-{word}', instances, category=word)


def _check_classes(rows: table.Table, labels: Sequence[str]) -> None:
    names = rows.classes('label')
    if names is not None and len(names) != len(labels):
        raise ValueError(
            f'config.data.path={rows.path!r} has {len(names)} classes ('
            f'{", ".join(names)}), and config.data.labels has {len(labels)} '
            'words; give one for each.'
        )


def _needed(answer: Answer) -> str:
    n = len(answer.names)
    name = _needed_name(answer)
    return f'a number from 1 to {n} or from 0 to {n - 1} or {name}'


def _needed_name(answer: Answer) -> str:
    return f'one of {", ".join(answer.names)} (config.data.labels)'
