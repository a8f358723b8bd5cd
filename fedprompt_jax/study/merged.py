"""Simulation and evaluator of a run that is computed together with others.

The owners of all runs stand side by side, run by run. One call of the model
gives the gradients, or the scores, of all; each run continues with its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.bank.kind import Params
from fedprompt_jax.bank.owners import num_owners
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.evaluation.scoring import Evaluator, Request, Scores
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.prepared import Prepared, plain
from fedprompt_jax.study.rendezvous import Compute, Rendezvous


class Participant(NamedTuple):
    """A run among those that are computed together.

    Attributes:
      rendezvous: where all the runs meet.
      number: this run's number, from 0.
    """

    rendezvous: Rendezvous
    number: int

    @property
    def size(self) -> int:
        """The number of runs that began together."""
        return self.rendezvous.size

    def ask(self, key: str, compute: Compute, request) -> Any:
        """See Rendezvous.ask."""
        return self.rendezvous.ask(self.number, key, compute, request)

    def simulation(self, alone: PackedSimulation) -> 'MergedSimulation':
        """The run's simulation, computed with those of the others."""
        return MergedSimulation(alone, self)

    def evaluator(self, alone: Evaluator) -> 'MergedEvaluator':
        """The run's evaluator, computed with those of the others."""
        return MergedEvaluator(alone, self)


class _Gradients(NamedTuple):
    simulation: PackedSimulation
    bank: Any
    examples: Sequence[Example]
    isolate: bool


class MergedSimulation(PackedSimulation):
    """A run's simulation, whose gradients are computed with the others'.

    Model, base, loss and mesh are the same for all.
    """

    def __init__(
        self, alone: PackedSimulation, participant: Participant
    ) -> None:
        super().__init__(
            alone.model, alone.base, alone.packer, alone.loss, alone.place_rows
        )
        self._participant = participant

    def prepare(
        self, examples: Sequence[Example], alone: bool = False
    ) -> Sequence[Example]:
        """See Simulation; they are packed with those of the other runs."""
        return Prepared(plain(examples), alone)

    def _may_share(self, owners: int) -> bool:
        """A single owner may share rows with those of the other runs."""
        return not self.model.kind.one_owner

    def gradients_once(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """See PackedSimulation.gradients_once."""
        if isinstance(examples, Prepared):
            isolate = isolate or examples.alone
            examples = plain(examples)
        request = _Gradients(self, bank, examples, isolate)
        key = f'gradients, isolate={isolate}'
        return self._participant.ask(key, _all_gradients, request)


def _all_gradients(
    requests: Sequence[_Gradients],
) -> list[tuple[jax.Array, Any]]:
    """The gradients of each request, from one call with all of them."""
    first = requests[0].simulation  # model, base and loss are those of all
    packer = widest([r.simulation.packer for r in requests])
    merged = PackedSimulation(
        first.model, first.base, packer, first.loss, first.place_rows
    )
    bank, starts = side_by_side([r.bank for r in requests])  # [sum of C_i, ...]
    examples = _examples(requests, starts)
    results = merged.gradients_once(bank, examples, requests[0].isolate)
    ends = [*starts[1:], num_owners(bank)]
    # Run i gets the rows [starts[i], ends[i]) of all leaves: [C_i, ...].
    return [
        jax.tree.map(lambda x, a=a, b=b: x[a:b], results)
        for a, b in zip(starts, ends, strict=True)
    ]


def _examples(requests: Sequence[Any], starts: Sequence[int]) -> list[Example]:
    """The examples of all requests, as those of owners of the merged bank.

    Run i's owner c is owner starts[i] + c there.
    """
    return [
        e._replace(owner=e.owner + start)
        for r, start in zip(requests, starts, strict=True)
        for e in r.examples
    ]


class _Scoring(NamedTuple):
    evaluator: Evaluator
    bank: Any
    requests: Sequence[Request]
    progress: str


class _TokenLosses(NamedTuple):
    evaluator: Evaluator
    bank: Any
    examples: Sequence[Example]


class MergedEvaluator:
    """A run's evaluator, whose prompts are scored with the others'.

    Attributes:
      store: see Evaluator; the same for all, as are model and tokenizer.
    """

    def __init__(
        self, alone: Evaluator, participant: Participant, is_bare: bool = False
    ) -> None:
        self._alone, self._participant = alone, participant
        self._is_bare = is_bare
        self.store = alone.store

    def bare(self) -> tuple['MergedEvaluator', Params]:
        """See Evaluator.bare."""
        alone, params = self._alone.bare()
        return MergedEvaluator(alone, self._participant, True), params

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores:
        """See Evaluator.score."""
        request = _Scoring(self._alone, bank, requests, progress)
        key = f'scores, bare={self._is_bare}'
        return self._participant.ask(key, _all_scores, request)

    def token_losses(
        self, bank, examples: Sequence[Example]
    ) -> list[np.ndarray]:
        """See Evaluator.token_losses."""
        request = _TokenLosses(self._alone, bank, examples)
        key = f'losses, bare={self._is_bare}'
        return self._participant.ask(key, _all_token_losses, request)


def _all_scores(scorings: Sequence[_Scoring]) -> list[Scores]:
    """The scores of each run's requests, from one call with all of them."""
    packer = widest([s.evaluator.packer for s in scorings])
    merged = scorings[0].evaluator._replace(packer=packer)
    bank, starts = side_by_side([s.bank for s in scorings])
    requests = [
        r._replace(owner=r.owner + start)
        for s, start in zip(scorings, starts, strict=True)
        for r in s.requests
    ]
    scores = merged.score(bank, requests, scorings[0].progress)
    # Scores follow the requests, and these the runs: cut them apart again.
    ends = np.cumsum([len(s.requests) for s in scorings])
    parts: list[Scores] = []
    for s, end in zip(scorings, ends, strict=True):
        values: Any = (x[end - len(s.requests) : end] for x in scores)
        parts.append(Scores(*values))
    return parts


def _all_token_losses(
    requests: Sequence[_TokenLosses],
) -> list[list[np.ndarray]]:
    """The losses of each run's examples, from one call with all of them."""
    packer = widest([r.evaluator.packer for r in requests])
    merged = requests[0].evaluator._replace(packer=packer)
    bank, starts = side_by_side([r.bank for r in requests])
    examples = _examples(requests, starts)
    losses = merged.token_losses(bank, examples)
    ends = np.cumsum([len(r.examples) for r in requests])
    return [
        losses[end - len(r.examples) : end]
        for r, end in zip(requests, ends, strict=True)
    ]


def side_by_side(banks: Sequence[Any]) -> tuple[Any, list[int]]:
    """Concatenates banks; returns the bank and the first owner of each.

    Args:
      banks: trees with leaves [C_i, ...].

    Returns:
      A tree with leaves [sum of C_i, ...], and C_0 + ... + C_(i-1) for each i.
    """
    starts = [0]
    for bank in banks[:-1]:
        starts.append(starts[-1] + num_owners(bank))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *banks), starts


def widest(packers: Sequence[Packer]) -> Packer:
    """A packer whose rows hold every example that one of the packers holds.

    Args:
      packers: those of runs that are computed together.
    """
    # The longest shape is the last: it has to hold the most targets as well.
    longest = max(packers, key=lambda p: p.shapes[-1].length)
    *shapes, last = longest.shapes
    targets = max(p.shapes[-1].targets for p in packers)
    return longest._replace(shapes=(*shapes, last._replace(targets=targets)))
