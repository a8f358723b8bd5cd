"""What the answers of a table are: one convention for all of its rows.

  labels   one of the labels that each row's options have (ARC alone)
  text     the text of an option
  letter   its letter: A, b, (C), D.
  index0   its place, counted from 0; true and false are 1 and 0 of two
  index1   its place, counted from 1

A convention is possible if every row fits it. Where several are, and they
choose other options in some row, the table does not say which is meant: an
error asks for config.data.answers. Where none is, an error shows rows that
contradict each other. A row is never decided by itself: the 'A' of options
(O, A, B, AB) is the first of them if another row's answer is no option's text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import itertools
import logging
import re
import string
from typing import Any

from fedprompt_jax.data.tables import cells
from fedprompt_jax.data.tables.cells import Class, Number

_LOG = logging.getLogger(__name__)

CONVENTIONS = ('text', 'letter', 'index0', 'index1')  # config.data.answers
LABELS = 'labels'

_WORDS = {
    LABELS: 'a label of the options',
    'text': "an option's text",
    'letter': 'a letter',
    'index0': 'counted from 0',
    'index1': 'counted from 1',
}
_LETTER = re.compile(r'[(\[]?([A-Za-z])[)\].:]?')
_INDEX = re.compile(r'(\d+)(\.0*)?')  # 1.0 is how pandas writes a 1


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer of a row, not yet understood.

    Attributes:
      where: file and row.
      field: the column.
      cell: what is written there.
      options: what is chosen from.
      names: what the text of an answer is compared with; the options
        themselves, or the names of label words.
      labels: what the row calls its options; () where it does not.
      typed: whether an option is a number rather than text.
    """

    where: str
    field: str
    cell: Any
    options: Sequence[str]
    names: Sequence[str]
    labels: Sequence[str] = ()
    typed: bool = False


def index(answer: Answer, convention: str) -> int | None:
    """The place of the option that an answer chooses, from 0; None for none."""
    if cells.nothing(answer.cell):
        return None
    if convention == LABELS:
        return _among(answer.cell, answer.labels)
    if convention == 'text':
        return _among(answer.cell, answer.names)
    if convention == 'letter':
        option = _letter(answer.cell)
    else:
        option = _count(answer.cell, len(answer.options), int(convention[-1]))
    if option is None or not 0 <= option < len(answer.options):
        return None
    return option


def _among(cell: Any, names: Sequence[str]) -> int | None:
    """The first name that a cell is, whatever space is around them."""
    texts = [cell] if isinstance(cell, str) else []
    if isinstance(cell, bool):
        texts = [str(cell).lower(), str(cell), str(int(cell))]
    elif isinstance(cell, Number) and (match := _INDEX.fullmatch(cell)):
        texts.append(match[1])
    for text in texts:
        if text in names:
            return list(names).index(text)
        near = {n for n in names if n.strip() == text.strip()}
        if len(near) == 1:
            return list(names).index(near.pop())
    return None


def _letter(cell: Any) -> int | None:
    plain = isinstance(cell, str) and not isinstance(cell, Number | Class)
    match = _LETTER.fullmatch(cell.strip()) if plain else None
    return string.ascii_uppercase.index(match[1].upper()) if match else None


def _count(cell: Any, num_options: int, first: int) -> int | None:
    """The place from 0 of what is counted from `first`."""
    if isinstance(cell, Class):  # the hub counts them from 0
        return cell.place if first == 0 else None
    truth = str(cell).strip().lower()
    if truth in ('true', 'false'):
        two = num_options == 2 and first == 0
        return int(truth == 'true') if two else None
    if not isinstance(cell, str):
        return None
    match = _INDEX.fullmatch(cell.strip())
    return int(match[1]) - first if match else None


def decide(
    answers: Iterable[Answer],
    among: Sequence[str],
    given: str,
    path: str,
    needed: Callable[[Answer], str],
) -> str:
    """Returns the convention of a table's answers.

    Args:
      answers: of all rows.
      among: the conventions to choose from, where none is given.
      given: config.data.answers.
      path: of the table, for errors.
      needed: what an answer must be, in words for errors.

    Raises:
      ValueError: an answer fits no convention, two rows contradict each other,
        or two conventions are possible and differ.
    """
    evidence = _Evidence((given,) if given else among)
    for answer in answers:
        if not evidence.add(answer):
            words = _needed(answer, given) if given else needed(answer)
            cells.fail(answer.where, answer.field, answer.cell, words)
    possible = evidence.possible()
    if not possible:
        raise ValueError(_contradiction(path, evidence))
    for pair in itertools.combinations(possible, 2):
        if pair in evidence.differing:
            raise ValueError(_ambiguous(path, pair, evidence.differing[pair]))
    words = _WORDS[possible[0]]
    _LOG.info('%s: each answer is read as %s.', path, words)
    return possible[0]


def _needed(answer: Answer, convention: str) -> str:
    """Says what an answer must be under the given convention."""
    n = len(answer.options)
    words = {
        'text': f'one of {", ".join(answer.names)}',
        'letter': f'a letter, the last of which is that of option {n}',
        'index0': f'a number from 0 to {n - 1}',
        'index1': f'a number from 1 to {n}',
    }
    return f'{words[convention]} (config.data.answers={convention!r})'


class _Evidence:
    """Evidence from the rows read so far; its size is fixed."""

    def __init__(self, among: Sequence[str]) -> None:
        self.among = tuple(among)
        # The conventions that a row fits -> the first such row.
        self.rows: dict[frozenset[str], Answer] = {}
        # Two conventions -> the first row where they choose other options.
        self.differing: dict[tuple[str, str], Answer] = {}
        self.number_for_text = False

    def add(self, answer: Answer) -> frozenset[str]:
        """The conventions that an answer fits."""
        chosen = {c: index(answer, c) for c in self.among}
        fitting = {c: i for c, i in chosen.items() if i is not None}
        if LABELS in fitting:  # no other convention may contradict them
            label = answer.options[fitting[LABELS]]
            fitting = {
                c: i for c, i in fitting.items() if answer.options[i] == label
            }
        self.rows.setdefault(frozenset(fitting), answer)
        for a, b in itertools.combinations(fitting, 2):
            if answer.options[fitting[a]] != answer.options[fitting[b]]:
                self.differing.setdefault((a, b), answer)
        if isinstance(answer.cell, Number) and not answer.typed:
            self.number_for_text = True
        return frozenset(fitting)

    def possible(self) -> list[str]:
        """The conventions that all rows fit, in the order of `among`."""
        possible = [
            c for c in self.among if all(c in fits for fits in self.rows)
        ]
        if LABELS in possible:  # the data themselves say so
            return [LABELS]
        counted = any(c.startswith('index') for c in possible)
        if self.number_for_text and counted and 'text' in possible:
            possible.remove('text')  # a number is no text among texts
        return possible


def _contradiction(path: str, evidence: _Evidence) -> str:
    """The error where each row fits a convention, and no one fits all."""
    for n in range(2, len(evidence.rows) + 1):
        for fits in itertools.combinations(evidence.rows, n):
            if not frozenset.intersection(*fits):
                lines = [_reading(evidence.rows[f], sorted(f)) for f in fits]
                return (
                    f'config.data.path={path!r}: the answers follow no one '
                    f'convention: {"; ".join(lines)}. Mend the rows that are '
                    'wrong.'
                )
    raise AssertionError('Some rows must contradict each other.')


def _ambiguous(path: str, pair: tuple[str, str], answer: Answer) -> str:
    first, second = pair
    return (
        f'config.data.path={path!r}: all answers fit two conventions, and '
        f'they choose other options: {_reading(answer, pair)}. Say which is '
        f'meant: config.data.answers={first!r} or {second!r}.'
    )


def _reading(answer: Answer, conventions: Iterable[str]) -> str:
    """A row's answer, and which option it is by each convention."""
    readings = ' or '.join(_options(answer, conventions))
    return (
        f'{answer.where}: {answer.field}: {cells.shown(answer.cell)} of '
        f'{len(answer.options)} options is {readings}'
    )


def _options(answer: Answer, conventions: Iterable[str]) -> Iterator[str]:
    for convention in conventions:
        i = index(answer, convention)
        assert i is not None
        yield f'{answer.options[i]!r} ({_WORDS[convention]})'
