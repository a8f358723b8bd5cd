"""The scores of several runs as one bank; see federated/merged.py."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.bank.kind import Params
from fedprompt_jax.evaluation.scoring import Evaluator, Request, Scores
from fedprompt_jax.sweep.merged_simulation import side_by_side, widest
from fedprompt_jax.sweep.rendezvous import Member


class _Asked(NamedTuple):
    evaluator: Evaluator
    bank: Any
    requests: Sequence[Request]
    progress: str


class MergedEvaluator:
    """One run's, whose prompts are scored with those of the others.

    Attributes:
      store: see Evaluator; the same for all, as are model and tokenizer.
    """

    def __init__(self, own: Evaluator, member: Member, bare=False) -> None:
        self._own, self._member, self._bare = own, member, bare
        self.store = own.store

    def bare(self) -> tuple['MergedEvaluator', Params]:
        """See Evaluator.bare."""
        own, nothing = self._own.bare()
        return MergedEvaluator(own, self._member, True), nothing

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores:
        """See Evaluator.score."""
        asked = _Asked(self._own, bank, requests, progress)
        return self._member.ask(('scores', self._bare), _scores, asked)


def _scores(asked: Sequence[_Asked]) -> list[Scores]:
    packer = widest([a.evaluator.packer for a in asked])
    own = asked[0].evaluator._replace(packer=packer)
    bank, starts = side_by_side([a.bank for a in asked])
    requests = [
        r._replace(owner=r.owner + start)
        for a, start in zip(asked, starts, strict=True)
        for r in a.requests
    ]
    found = own.score(bank, requests, asked[0].progress)
    ends = np.cumsum([len(a.requests) for a in asked])
    parts: list[Scores] = []
    for a, end in zip(asked, ends, strict=True):
        values: Any = (x[end - len(a.requests) : end] for x in found)
        parts.append(Scores(*values))
    return parts
