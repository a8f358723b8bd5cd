"""Who takes part in a round, and on which examples: all of it by name.

Every draw is a function of (seed, purpose, round, client id), so that a run
that is stopped and started again meets the same cohorts and batches.
"""

from collections.abc import Iterable, Iterator, Sequence
import itertools
from typing import NamedTuple, Protocol

import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.data.store import TokenStore


class Population(Protocol):
    """N clients by index: the instance indices of each."""

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> np.ndarray: ...


class Pooled:
    """A population as one client that holds everybody's instances."""

    def __init__(self, population: Population) -> None:
        self.instances = np.concatenate(
            [population[i] for i in range(len(population))]
        )

    def __len__(self) -> int:
        return 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.instances


class Cohort(NamedTuple):
    """The clients of a round and their batches; owner c is clients[c].

    Attributes:
      clients: int64 [C] client ids.
      num_examples: int64 [C] instances each client has.
      steps: S lists, each the batches of all owners together.
      whole: the batches of all steps as one, where they are at hand.
    """

    clients: np.ndarray
    num_examples: np.ndarray
    steps: Sequence[Sequence[Example]]
    whole: Sequence[Example] | None = None

    @property
    def examples(self) -> Sequence[Example]:
        """The batches of all steps as one."""
        if self.whole is not None:
            return self.whole
        return list(itertools.chain.from_iterable(self.steps))


def sample_cohort(
    store: TokenStore,
    population: Population,
    *,
    size: int,
    num_steps: int,
    num_epochs: int = 0,
    batch_size: int,
    seed: int,
    round: int,
) -> Cohort:
    """The cohort of a round: `size` clients without replacement.

    Each takes num_steps batches from shuffled passes over its own instances:
    a pass is without replacement, and another begins where one ends. A
    population of one continues where its last round ended.

    With num_epochs each takes that many passes over its instances, however
    many batches these are: the last batch of a pass may be short, and a client
    is absent from the last steps of those that have more batches.

    Args:
      store: tokens of the instances.
      population: training clients.
      size: C.
      num_steps: S; 0 where there are num_epochs.
      num_epochs: passes of a client over its instances; 0 for num_steps.
      batch_size: B examples a client a step.
      seed: the run's seed.
      round: number of the round, from 0.
    """
    rng = generator(seed, 'cohort', round)
    clients = np.sort(rng.choice(len(population), size, replace=False))
    sizes = np.array([len(population[c]) for c in clients], np.int64)
    if num_epochs:
        steps: list[list[Example]] = []
        for epoch in range(num_epochs):
            steps += epoch_steps(
                store,
                [population[c] for c in clients],
                clients,
                batch_size=batch_size,
                seed=seed,
                epoch=epoch,
                round=round,
            )
        return Cohort(clients, sizes, steps)
    alone = len(population) == 1
    per_client = []
    for client in clients:
        name = (0, client) if alone else (round, client)
        start = round * num_steps * batch_size if alone else 0
        stream = shuffled_passes(
            population[client],
            start,
            num_steps * batch_size,
            seed,
            *name,
        )
        per_client.append(stream.reshape(num_steps, batch_size))
    steps = [
        [
            store.example(owner, int(i))
            for owner, batches in enumerate(per_client)
            for i in batches[s]
        ]
        for s in range(num_steps)
    ]
    return Cohort(clients, sizes, steps)


def shuffled_passes(
    instances: np.ndarray,
    start: int,
    count: int,
    seed: int,
    *name: int,
    purpose: str = 'batches',
) -> np.ndarray:
    """Places start ... start + count - 1 of an endless row of shuffles.

    Args:
      instances: what is shuffled, int [n].
      start: first place.
      count: number of places.
      seed: the run's seed.
      *name: whose shuffles these are (round, client id).
      purpose: what for; others are shuffled otherwise.
    """
    n = len(instances)
    parts = []
    for number in range(start // n, -(-(start + count) // n)):
        order = generator(seed, purpose, *name, number).permutation(n)
        parts.append(instances[order])
    first = start - start // n * n
    return np.concatenate(parts)[first : first + count]


def epoch_steps(
    store: TokenStore,
    instances: Sequence[np.ndarray],
    clients: Iterable[int],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    round: int | None = None,
) -> Iterator[list[Example]]:
    """The steps of one epoch in which every owner sees its instances once.

    Owners with fewer batches than others are absent from the last steps, and
    a last batch may be short.

    Args:
      store: tokens of the instances.
      instances: for each owner, its training instances.
      clients: for each owner, its client id, which names its shuffle.
      batch_size: most examples an owner a step.
      seed: the run's seed.
      epoch: number of the epoch, from 0.
      round: in whose cohort the owners are; None outside of rounds.
    """
    name = ('epoch', epoch) if round is None else ('local epoch', round, epoch)
    orders = [
        ids[generator(seed, *name, client).permutation(len(ids))]
        for ids, client in zip(instances, clients, strict=True)
    ]
    for start in range(0, max(map(len, orders)), batch_size):
        yield [
            store.example(owner, int(i))
            for owner, order in enumerate(orders)
            for i in order[start : start + batch_size]
        ]
