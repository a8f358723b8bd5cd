"""An example of one owner, and how much each of its target tokens weighs.

`config.loss` names the three ways of averaging an owner's loss over the
target tokens it was given. They differ only in the weights, so one weighted
sum of token losses serves them all. What else depends on `config.loss`, the
mean of scored examples and the unit in words, stands beside the weights.
"""

import collections
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Loss(NamedTuple):
    """A way to average an owner's loss over the target tokens it was given.

    Attributes:
      meaning: in words.
      unit: of such a loss, in words.
      weight: (examples of the owner, tokens of this example's target, tokens
        of all the owner's targets) -> weight of each token of this target.
      mean: (summed loss of each example's target, its tokens), both [n], n >=
        1 -> the loss. It is the sum of the weighted token losses.
    """

    meaning: str
    unit: str
    weight: Callable[[int, int, int], float]
    mean: Callable[[np.ndarray, np.ndarray], np.floating]


LOSSES = {
    'sequence': Loss(
        'mean over examples of the sum over target tokens (eq. 1)',
        'nats an example, summed over its target',
        weight=lambda examples, target, targets: 1 / examples,
        mean=lambda total, tokens: np.mean(total),
    ),
    'example': Loss(
        'mean over examples of the mean over target tokens',
        'nats a target token, mean over examples',
        weight=lambda examples, target, targets: 1 / (examples * target),
        mean=lambda total, tokens: np.mean(total / tokens),
    ),
    'token': Loss(
        'mean over all target tokens of the owner (as in HF)',
        'nats a target token',
        weight=lambda examples, target, targets: 1 / targets,
        mean=lambda total, tokens: np.sum(total) / np.sum(tokens),
    ),
}


class Example(NamedTuple):
    """A tokenised query and target that one owner's prompt stands before.

    A query with several targets, such as the choices of a question, is read
    once for all of them. Each target is read as if it alone followed the query.
    In a causal model, two targets of 2 and 3 tokens:

        >>> query, yes, no = np.array([7, 8]), np.array([1, 2]), np.array([3])
        >>> e = Example(0, query, yes, more=(np.array([3, 4, 5]), no))
        >>> print(e.tokens, e.segment, e.place)
        [7 8 1 3 4] [0 0 1 2 2] [0 1 2 2 3]
        >>> print(e.target_index)
        [1 2 1 3 4 1]

    Every first token (1, 3 and 3) is predicted from the query's last one, in
    column 1. Token 3 in column 3 does not read token 1 before it: its segment
    is another, and its place that behind the query.

    Attributes:
      owner: index of the owner in the bank.
      query: int32 [q], q >= 1.
      target: int32 [t], t >= 1, the end-of-sequence token included.
      at: int32 [t], the place in the query that each target token is
        predicted at: that of its mask in a masked language model, the last
        one where a decoder reads the query. None in a causal model, which
        reads the target behind the query and predicts each token from the
        one before.
      more: further targets of the query, int32 [t_i] each. Where `at` is given
        they are predicted at these places too: as many tokens at the same
        masks, or any number of them at the one last place.
    """

    owner: int
    query: np.ndarray
    target: np.ndarray
    at: np.ndarray | None = None
    more: tuple[np.ndarray, ...] = ()

    @property
    def targets(self) -> tuple[np.ndarray, ...]:
        """All targets, the first one first."""
        return (self.target, *self.more)

    @property
    def num_target_tokens(self) -> int:
        """Tokens of all targets together, T."""
        return sum(map(len, self.targets))

    @property
    def num_tokens(self) -> int:
        """Tokens of the row."""
        return len(self.query) + sum(self._read)

    @property
    def _read(self) -> list[int]:
        """Tokens of each target in the row: its last one is only predicted."""
        return [len(t) - 1 if self.at is None else 0 for t in self.targets]

    @property
    def tokens(self) -> np.ndarray:
        """int32 [num_tokens], those of the row."""
        if self.at is not None:
            return self.query
        return np.concatenate([self.query, *(t[:-1] for t in self.targets)])

    @property
    def segment(self) -> np.ndarray:
        """int [num_tokens], 0 on the query, i on target i of several."""
        if not self.more:
            return np.zeros(self.num_tokens, np.int64)
        parts = [len(self.query), *self._read]
        return np.repeat(np.arange(len(parts)), parts)

    @property
    def place(self) -> np.ndarray:
        """int [num_tokens], counted from the query's first token."""
        query = len(self.query)
        behind = (query + np.arange(n) for n in self._read)
        return np.concatenate([np.arange(query), *behind])

    @property
    def target_index(self) -> np.ndarray:
        """int [T], the column of `tokens` that predicts each target token."""
        if self.at is not None:
            # np.resize repeats: the last place as often as it is needed.
            return np.concatenate(
                [np.resize(self.at, len(t)) for t in self.targets]
            )
        parts: list[np.ndarray] = []
        end = len(self.query)
        for read in self._read:
            # The query's last token predicts the first one of every target.
            parts.append(np.array([len(self.query) - 1]))
            parts.append(np.arange(end, end + read))
            end += read
        return np.concatenate(parts)


def token_weights(examples: Sequence[Example], loss: str) -> list[float]:
    """The weight of each example's target tokens, so that each owner's loss
    is the weighted sum of its token losses.

    Args:
      examples: examples of any owners, in any order, with one target each.
      loss: a key of LOSSES.
    """
    if loss not in LOSSES:
        raise ValueError(f'config.loss={loss!r} must be one of {list(LOSSES)}.')
    weight = LOSSES[loss].weight
    count = collections.Counter(e.owner for e in examples)
    tokens: collections.Counter[int] = collections.Counter()
    for e in examples:
        tokens[e.owner] += len(e.target)
    return [
        weight(count[e.owner], len(e.target), tokens[e.owner]) for e in examples
    ]
