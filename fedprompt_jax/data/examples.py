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

    Attributes:
      owner: index of the owner in the bank.
      query: int32 [q], q >= 1.
      target: int32 [t], t >= 1, the end-of-sequence token included.
      at: int32 [t], the place in the query that each target token is
        predicted at: that of its mask in a masked language model, the last
        one where a decoder reads the query. None in a causal model, which
        reads the target behind the query and predicts each token from the
        one before.
    """

    owner: int
    query: np.ndarray
    target: np.ndarray
    at: np.ndarray | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens of the row: a causal model only predicts the last target."""
        more = len(self.target) - 1 if self.at is None else 0
        return len(self.query) + more

    @property
    def tokens(self) -> np.ndarray:
        """int32 [num_tokens], those of the row."""
        if self.at is not None:
            return self.query
        return np.concatenate([self.query, self.target[:-1]])

    @property
    def target_index(self) -> np.ndarray:
        """int [t], the place in `tokens` that predicts each target token."""
        if self.at is not None:
            return self.at
        return np.arange(len(self.query) - 1, self.num_tokens)


def token_weights(examples: Sequence[Example], loss: str) -> list[float]:
    """The weight of each example's target tokens, so that each owner's loss
    is the weighted sum of its token losses.

    Args:
      examples: examples of any owners, in any order.
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
