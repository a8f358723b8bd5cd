"""Classification sets: text, label and perhaps text_pair, with label words.

config.data.labels are the words, class by class. An integer label (a bool, a
class of the hub) counts them from 0. A string label is found by its name,
which is the word itself or stands before it: 'entailment=Yes'. Where names are
given so, classes of the hub are found by theirs, and integers by their digits:
'1=good'.

Each word is a task of its own, '<set>-<word>', and its category: what skews
task types between clients skews labels.
"""

from collections.abc import Iterator, Sequence
import logging
from pathlib import Path
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.data import sni_task
from fedprompt_jax.data.sni_task import Instance, Task
from fedprompt_jax.data.sources import table, tasks
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
        found = table.load(data.path, columns, needed)
        return _tasks(found, columns, labels, data.path)

    content = table.fingerprint(data.path)
    return Source(
        data.path, tasks.fingerprint(__name__, content, columns, labels), read
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


def _tasks(found, columns, labels: Sequence[str], path: str) -> Iterator[Task]:
    words = tuple(_entry(label)[1] for label in labels)
    classes = _classes(found.features[columns['label'][0]], labels, path)
    own: dict[str, list[Instance]] = {word: [] for word in words}
    for number, row in enumerate(table.rows(found, columns), start=1):
        where = f'{path}: row {number}'
        word = _word(where, row['label'], labels, classes)
        text = sni_task.string(where, 'text', row['text'])
        pair = sni_task.string(where, 'text_pair', row.get('text_pair') or '')
        own[word].append(Instance(str(number), text, (word,), words, pair=pair))
    name = Path(path).stem
    for word, instances in own.items():
        if not instances:
            _LOG.warning('%s: no row has the label of %r.', path, word)
        if instances:
            ordered = tasks.in_canonical_order(instances)
            yield tasks.bare(f'{name}-{word}', ordered, category=word)


def _classes(feature: Any, labels: Sequence[str], path: str) -> list[str]:
    """Names of the classes where labels are looked up by name; else none."""
    names = getattr(feature, 'names', None)
    if names is not None and len(names) != len(labels):
        raise ValueError(
            f'config.data.path={path!r} has {len(names)} classes ('
            f'{", ".join(names)}), and config.data.labels has {len(labels)} '
            'words; give one for each.'
        )
    named = any('=' in label for label in labels)
    return list(names) if names is not None and named else []


def _word(
    where: str, label: Any, labels: Sequence[str], classes: list[str]
) -> str:
    named = any('=' in entry for entry in labels)
    if isinstance(label, int) and not named and 0 <= label < len(labels):
        return labels[label]
    if isinstance(label, int) and named:
        own = classes[label : label + 1] or [str(int(label))]
        label = own[0]
    names = dict(map(_entry, labels))
    if label not in names:
        numbers = '' if named else f'0 to {len(labels) - 1} or '
        sni_task.fail(
            where,
            'label',
            label,
            f'{numbers}one of {", ".join(names)} (config.data.labels)',
        )
    return names[label]
