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
    """

    owner: int
    query: np.ndarray
    target: np.ndarray

    @property
    def num_tokens(self) -> int:
        """Tokens the model reads: the last target is only predicted."""
        return len(self.query) + len(self.target) - 1


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
