"""An example of one owner, and how much each of its target tokens weighs.

`config.loss` names the three ways of averaging an owner's loss over the
target tokens it was given. They differ only in the weights, so one weighted
sum of token losses serves them all.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LOSSES = {
    'sequence': 'mean over examples of the sum over target tokens (eq. 1)',
    'example': 'mean over examples of the mean over target tokens',
    'token': 'mean over all target tokens of the owner (as in HF)',
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
    count = collections.Counter(e.owner for e in examples)
    tokens: collections.Counter[int] = collections.Counter()
    for e in examples:
        tokens[e.owner] += len(e.target)
    if loss == 'sequence':
        return [1 / count[e.owner] for e in examples]
    if loss == 'example':
        return [1 / (count[e.owner] * len(e.target)) for e in examples]
    if loss == 'token':
        return [1 / tokens[e.owner] for e in examples]
    raise ValueError(f'config.loss={loss!r} must be one of {list(LOSSES)}.')
