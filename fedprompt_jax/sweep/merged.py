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
from fedprompt_jax.sweep.rendezvous import Compute, Rendezvous


class Participant(NamedTuple):
    """A run among those that are computed together.

    Attributes:
      rendezvous: of all the runs.
      number: of this run, from 0.
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

    def gradients_once(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """See PackedSimulation.gradients_once."""
        request = _Gradients(self, bank, examples, isolate)
        key = f'gradients, isolate={isolate}'
        return self._participant.ask(key, _all_gradients, request)


def _all_gradients(
    requests: Sequence[_Gradients],
) -> list[tuple[jax.Array, Any]]:
    one = requests[0].simulation
    packer = widest([r.simulation.packer for r in requests])
    merged = PackedSimulation(
        one.model, one.base, packer, one.loss, one.place_rows
    )
    bank, starts = side_by_side([r.bank for r in requests])  # [sum of C_i, ...]
    examples = [
        e._replace(owner=e.owner + start)
        for r, start in zip(requests, starts, strict=True)
        for e in r.examples
    ]
    results = merged.gradients_once(bank, examples, requests[0].isolate)
    ends = [*starts[1:], num_owners(bank)]
    return [
        jax.tree.map(lambda x, a=a, b=b: x[a:b], results)
        for a, b in zip(starts, ends, strict=True)
    ]


class _Scoring(NamedTuple):
    evaluator: Evaluator
    bank: Any
    requests: Sequence[Request]
    progress: str


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
        alone, nothing = self._alone.bare()
        return MergedEvaluator(alone, self._participant, True), nothing

    def score(
        self, bank, requests: Sequence[Request], progress: str = ''
    ) -> Scores:
        """See Evaluator.score."""
        request = _Scoring(self._alone, bank, requests, progress)
        key = f'scores, bare={self._is_bare}'
        return self._participant.ask(key, _all_scores, request)


def _all_scores(asked: Sequence[_Scoring]) -> list[Scores]:
    packer = widest([a.evaluator.packer for a in asked])
    merged = asked[0].evaluator._replace(packer=packer)
    bank, starts = side_by_side([a.bank for a in asked])
    requests = [
        r._replace(owner=r.owner + start)
        for a, start in zip(asked, starts, strict=True)
        for r in a.requests
    ]
    scores = merged.score(bank, requests, asked[0].progress)
    ends = np.cumsum([len(a.requests) for a in asked])
    parts: list[Scores] = []
    for a, end in zip(asked, ends, strict=True):
        values: Any = (x[end - len(a.requests) : end] for x in scores)
        parts.append(Scores(*values))
    return parts


def side_by_side(banks: Sequence[Any]) -> tuple[Any, list[int]]:
    """Banks [C_i, ...] as one [sum of C_i, ...], and where each begins."""
    starts = [0]
    for bank in banks[:-1]:
        starts.append(starts[-1] + num_owners(bank))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *banks), starts


def widest(packers: Sequence[Packer]) -> Packer:
    """A packer whose shapes hold what each of the packers' shapes hold."""
    longest = max(packers, key=lambda p: p.shapes[-1].length)
    *shapes, last = longest.shapes
    targets = max(p.shapes[-1].targets for p in packers)
    return longest._replace(shapes=(*shapes, last._replace(targets=targets)))
