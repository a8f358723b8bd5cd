"""Clients whose examples choose the prompt of stage 2, or score it."""

import dataclasses
from typing import NamedTuple

import numpy as np

from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.randomness import generator

# Whose examples a score is over: column `examples` of tradeoff.csv.
OF_HELD_OUT, OF_TRAINING = 'held_out_client', 'training_client'
OF_EVALUATED = 'evaluated_clients'
OF_PART = 'official_part'


@dataclasses.dataclass(frozen=True, eq=False)
class HeldOut:
    """C clients, with examples that no prompt was trained on before.

    With splits.OF_TRAINING_CLIENTS they are training clients, and only `local`
    was held out. Instances are indices of the token store.

    Attributes:
      clients: int64 [C] client ids, numbers within the split, or those of the
        training population where they are training clients.
      names: [C] the names that the data give them, '' for clients that
        config.data.partition made.
      train: for each client, int64 instances for personalization.
      local: for each client, int64 instances for the local score.
      common: int64 instances for the global score.
      examples: 'local' or 'global' -> whose examples these scores are over:
        a held-out or a training client's own; those of all evaluated clients,
        or an official split.
    """

    clients: np.ndarray
    names: list[str]
    train: list[np.ndarray]
    local: list[np.ndarray]
    common: np.ndarray
    examples: dict[str, str]


class Wanted(NamedTuple):
    """How many clients and examples a stage scores.

    Attributes:
      split: the one to draw from, 'validation' or 'test'.
      clients: C.
      train: most instances of a client for personalization.
      local: most instances of a client for its local score.
      common: most instances of the global score.
      seed: config.seed.
    """

    split: str
    clients: int
    train: int
    local: int
    common: int
    seed: int


def held_out_clients(parts: dict[str, Clients], wanted: Wanted) -> HeldOut:
    """Draws held-out clients, and cuts the instances of each in two.

    A client with fewer instances than are wanted of it is cut in the same
    proportion. The global score is over instances of all `local`, evenly.

    Args:
      parts: the clients of each split.
      wanted: how many.
    """
    population = parts[wanted.split]
    chosen = _draw(np.arange(len(population)), wanted)
    train, local = [], []
    for client in chosen:
        instances = population[client]
        order = generator(wanted.seed, 'held-out examples', client).permutation(
            instances
        )
        total = wanted.train + wanted.local
        share = len(instances) * wanted.local // total
        # At least one to score, whatever the proportion.
        n = min(wanted.local, max(1, share))
        local.append(order[:n])
        train.append(order[n : n + wanted.train])
    whose = {'local': OF_HELD_OUT, 'global': OF_EVALUATED}
    common = _evenly(local, wanted.common)
    return HeldOut(chosen, _no_names(chosen), train, local, common, whose)


def training_clients(
    parts: dict[str, Clients],
    wanted: Wanted,
    official: dict[str, np.ndarray] | None,
) -> HeldOut:
    """Draws training clients, with examples that were held out of them.

    Args:
      parts: the clients of each split, with the same numbers in all of them.
      wanted: how many.
      official: split -> its instances, from which those of the global score are
        drawn; None: they are drawn evenly from all `local`.
    """
    chosen = _draw(np.flatnonzero(parts[wanted.split].sizes), wanted)
    train = [parts['train'][c][: wanted.train] for c in chosen]
    local = [parts[wanted.split][c][: wanted.local] for c in chosen]
    if official is None:
        common, of_global = _evenly(local, wanted.common), OF_EVALUATED
    else:
        # All of them, where there are no more than are wanted.
        rng = generator(wanted.seed, 'official examples')
        common = np.sort(
            rng.permutation(official[wanted.split])[: wanted.common]
        )
        of_global = f'{wanted.split}_split'
    whose = {'local': OF_TRAINING, 'global': of_global}
    if official is not None:
        whose['local'] = OF_PART
    return HeldOut(chosen, _no_names(chosen), train, local, common, whose)


def _draw(clients: np.ndarray, wanted: Wanted) -> np.ndarray:
    """Draws clients without replacement, sorted: [wanted.clients]."""
    rng = generator(wanted.seed, 'held-out clients')
    places = rng.choice(len(clients), wanted.clients, replace=False)
    return np.sort(clients[places])


def _evenly(local: list[np.ndarray], count: int) -> np.ndarray:
    """Draws `count` instances evenly from those of all clients.

    Every client gives its first `each` examples, and the first `more` clients
    give one more.
    """
    each, more = divmod(count, len(local))
    return np.concatenate(
        [ids[: each + (i < more)] for i, ids in enumerate(local)]
    )


def _no_names(clients: np.ndarray) -> list[str]:
    return [''] * len(clients)
