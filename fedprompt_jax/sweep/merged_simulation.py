"""The packed simulation of several runs as one bank.

Their owners stand side by side, run by run; a call of the model gives the
gradients of all, and each run goes on with its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.sweep.rendezvous import Member


class _Request(NamedTuple):
    simulation: PackedSimulation
    bank: Any
    examples: Sequence[Example]
    isolate: bool


class MergedSimulation(PackedSimulation):
    """One run's, whose gradients are computed with those of the others.

    Model, base, loss and mesh are the same for all.
    """

    def __init__(self, own: PackedSimulation, member: Member) -> None:
        super().__init__(own.model, own.base, own.packer, own.loss, own.put)
        self._member = member

    def gradients_once(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """See PackedSimulation.gradients_once."""
        request = _Request(self, bank, examples, isolate)
        return self._member.ask(('gradients', isolate), _gradients, request)


def _gradients(requests: Sequence[_Request]) -> list[tuple[jax.Array, Any]]:
    one = requests[0].simulation
    packer = widest([r.simulation.packer for r in requests])
    all_in_one = PackedSimulation(
        one.model, one.base, packer, one.loss, one.put
    )
    banks = [r.bank for r in requests]
    bank, starts = side_by_side(banks)
    examples = [
        e._replace(owner=e.owner + start)
        for r, start in zip(requests, starts, strict=True)
        for e in r.examples
    ]
    found = all_in_one.gradients_once(bank, examples, requests[0].isolate)
    ends = [*starts[1:], starts[-1] + num_owners(banks[-1])]
    return [
        jax.tree.map(lambda x, a=a, b=b: x[a:b], found)
        for a, b in zip(starts, ends, strict=True)
    ]


def side_by_side(banks: Sequence[Any]) -> tuple[Any, list[int]]:
    """Banks [C_i, ...] as one [sum of C_i, ...], and where each begins."""
    starts = [0]
    for bank in banks[:-1]:
        starts.append(starts[-1] + num_owners(bank))
    return jax.tree.map(lambda *x: jnp.concatenate(x), *banks), starts


def num_owners(bank) -> int:
    """C of a bank."""
    return len(jax.tree.leaves(bank)[0])


def widest(packers: Sequence[Packer]) -> Packer:
    """A packer whose shapes hold what each of the packers' shapes hold."""
    longest = max(packers, key=lambda p: p.shapes[-1].length)
    *shapes, last = longest.shapes
    targets = max(p.shapes[-1].targets for p in packers)
    return longest._replace(shapes=(*shapes, last._replace(targets=targets)))
