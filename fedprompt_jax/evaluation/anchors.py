"""Anchors that need no model: an answer that is copied, or the usual one.

A prompt that does not beat them has learnt a label or a format, not a task.

    majority    the most frequent answer of the client's training examples
    copy        the input, or its word at a fixed place; which of these is
                chosen on the client's training examples, without hindsight

Where an answer is chosen, the choice nearest to that text is taken.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.data.store import TokenStore
from fedprompt_jax.evaluation import units
from fedprompt_jax.evaluation.scoring import Request, Scores

PLACES = 8  # words from either end of the input that may be copied
Record = dict[str, Any]  # see TokenStore.record
RougeL = Callable[[int, str], float]  # (instance, text) -> 0 to 1
Answers = Callable[[Record], str]


class WithoutModel(NamedTuple):
    """Scores fixed answers as an Evaluator scores a model's; see scoring.py.

    Attributes:
      store: texts of the instances.
      rouge_l: ROUGE-L of a text as the answer to an instance.
      answers: of each owner.
    """

    store: TokenStore
    rouge_l: RougeL
    answers: Sequence[Answers]

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores:
        """Scores of each request; the losses are NaN: there is no model."""
        del bank, progress
        records = [self.store.record(r.instance) for r in requests]
        texts = [
            self.answers[r.owner](record)
            for r, record in zip(requests, records, strict=True)
        ]
        count = len(requests)
        return Scores(
            texts,
            np.array(
                [
                    self.rouge_l(r.instance, text)
                    for r, text in zip(requests, texts, strict=True)
                ]
            ),
            np.array(
                [
                    _exact_match(record, text)
                    for text, record in zip(texts, records, strict=True)
                ]
            ),
            np.full(count, np.nan),
            np.array([len(self.store.target(r.instance)) for r in requests]),
            np.zeros(count, int),
            [
                np.full(len(record.get('choices', ())), np.nan)
                for record in records
            ],
        )


def _exact_match(record: Mapping[str, Any], text: str) -> float:
    """1.0 if a text is right as the answer to a record."""
    if 'choices' in record:
        return float(text == record['outputs'][0])
    if 'beginning' in record:
        return float(text in record['outputs'])
    return units.exact_match(text, record['outputs'])


def majority(
    store: TokenStore, instances: Iterable[int], rouge_l: RougeL
) -> Answers:
    """The most frequent first output of the examples; of equals the earliest.

    Args:
      store: texts of the instances.
      instances: the client's training examples.
      rouge_l: unused; see copied.
    """
    del rouge_l
    outputs = [store.record(int(i))['outputs'][0] for i in instances]
    text = Counter(outputs).most_common(1)[0][0] if outputs else ''
    return lambda record: nearest(record, text)


def copied(
    store: TokenStore, instances: Iterable[int], rouge_l: RougeL
) -> Answers:
    """The input or its word at a place, as is best on the examples.

    Best by mean ROUGE-L, then by exact match; of equals the whole input, then
    the place nearest to an end.

    Args:
      store: texts of the instances.
      instances: the client's training examples.
      rouge_l: of a text as the answer to an instance.
    """
    records = [store.record(int(i)) for i in instances]

    def worth(place: int | None) -> tuple[float, float]:
        texts = [nearest(r, part(r['input'], place)) for r in records]
        scores = [
            rouge_l(int(i), text)
            for i, text in zip(instances, texts, strict=True)
        ]
        exact = [
            units.exact_match(text, r['outputs'])
            for text, r in zip(texts, records, strict=True)
        ]
        return float(np.mean(scores)), float(np.mean(exact))

    place = max(places(), key=worth) if records else None
    return lambda record: nearest(record, part(record['input'], place))


ANCHORS = {'copy': copied, 'majority': majority}  # by their labels


def places() -> list[int | None]:
    """None for the whole input, then places from either end: 0, -1, 1, -2."""
    both = [(n, -n - 1) for n in range(PLACES)]
    return [None, *(place for pair in both for place in pair)]


def part(text: str, place: int | None) -> str:
    """The text, or its word at a place; '' where it has no such word.

    >>> part('the cat sat', None), part('the cat sat', -1)
    ('the cat sat', 'sat')
    """
    if place is None:
        return text
    words = text.split()
    inside = -len(words) <= place < len(words)
    return words[place] if inside else ''


def nearest(record: Record, text: str) -> str:
    """The text; where the answer is chosen, the choice that shares most of it.

    The choice with the best ratio of common words; of equals the first.
    """
    choices = record.get('choices')
    if not choices:
        return text
    words = Counter(text.lower().split())

    def shared(choice: str) -> float:
        others = Counter(choice.lower().split())
        return (
            2
            * (words & others).total()
            / max(1, words.total() + others.total())
        )

    return max(choices, key=lambda c: (c == text, shared(c)))
