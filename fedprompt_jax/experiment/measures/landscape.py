"""How flat the loss is around the global prompt (Profit, observation 3a).

The objective is the mean over the evaluated clients of their losses on examples
on which they personalize: what stage 2 starts to lower. No scored example is
read.
"""

from collections.abc import Iterator
import math
from typing import Any, NamedTuple

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.flat import vector_of, vectors_of
from fedprompt_jax.data.randomness import generator
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.federated import landscape
from fedprompt_jax.federated.landscape import Objective


class Direction(NamedTuple):
    """A line through the global prompt.

    Attributes:
      kind: 'displacement' (mean over clients), 'client', 'gradient' (downhill)
        or 'random'.
      vector: f64 [n].
      owner: the client's number in the objective; None for no client's.
    """

    kind: str
    vector: np.ndarray
    owner: int | None = None


def measure(experiment: Experiment, state: Any) -> dict[str, Any]:
    """What landscape.json holds; see docs/measures.md.

    Args:
      experiment: its parts.
      state: of stage 2, after its last epoch.
    """
    c, seed = experiment.config.landscape, experiment.config.seed
    held_out = experiment.data.held_out
    owners = [i for i, ids in enumerate(held_out.train) if len(ids)]
    record: dict[str, Any] = {
        'round': int(state.rounds),
        'clients': held_out.clients[owners].tolist(),
        'examples': 0,
    }
    if not owners:
        return record
    goal = objective(experiment, state.shared, owners)
    center = vector_of(state.shared)
    length = float(np.linalg.norm(center))
    losses, gradient = goal.losses(center), goal.gradient(center)
    norm = float(np.linalg.norm(gradient))
    at = np.linspace(-c.span, c.span, c.points)
    middle = c.points // 2
    at[middle] = 0.0
    curves = []
    for line in _directions(experiment, state, owners, center, gradient):
        beside = landscape.curve(
            goal, center, line.vector, np.delete(at, middle)
        )
        along = np.insert(beside, middle, losses, axis=0)  # [T, C]
        own = None if line.owner is None else along[:, line.owner].tolist()
        curves.append(
            {
                'direction': line.kind,
                'client': None if own is None else _client(record, line),
                'length': _ratio(np.linalg.norm(line.vector), length),
                'losses': along.mean(axis=1).tolist(),
                'own': own,
            }
        )
    start = generator(seed, 'landscape lanczos').normal(size=len(center))
    ends = landscape.extremes(
        goal, center, start, c.lanczos_steps, c.eigenvalues
    )
    return record | {
        'examples': len(goal.examples),
        'loss': float(losses.mean()),
        'prompt_norm': length,
        'gradient_norm': norm,
        'gradient_over_prompt': _ratio(norm, length),
        'at': at.tolist(),
        'curves': curves,
        'eigenvalues': ends._asdict(),
    }


def objective(
    experiment: Experiment, params: Any, owners: list[int]
) -> Objective:
    """The mean loss of some evaluated clients on their own examples.

    Args:
      experiment: its parts.
      params: what is trained.
      owners: the clients' numbers among those that are evaluated.
    """
    config, data = experiment.config, experiment.data
    held_out = data.held_out
    examples = []
    for owner, number in enumerate(owners):
        client = held_out.clients[number]
        rng = generator(config.seed, 'landscape examples', client)
        drawn = rng.permutation(held_out.train[number])
        examples += [
            data.store.example(owner, int(i))
            for i in drawn[: config.landscape.examples]
        ]
    # Without the other runs of a bank, of which each measures for itself.
    simulation = experiment.personal.with_base(experiment.lm.base)
    return Objective(
        simulation, examples, len(owners), params, experiment.devices.replicate
    )


def _directions(
    experiment: Experiment,
    state: Any,
    owners: list[int],
    center: np.ndarray,
    gradient: np.ndarray,
) -> Iterator[Direction]:
    """Those that have a length: nobody moves in a stage 2 of no epochs."""
    c, seed = experiment.config.landscape, experiment.config.seed
    moves = vectors_of(state.clients.bank)[owners] - center  # f64 [C, n]
    finite = np.flatnonzero(np.isfinite(moves).all(axis=1))
    made = [Direction('gradient', -gradient)]
    if len(finite):
        made.insert(0, Direction('displacement', moves[finite].mean(axis=0)))
        made += [
            Direction('client', moves[i], int(i)) for i in finite[: c.clients]
        ]
    made += [
        Direction(
            'random',
            generator(seed, 'random direction', i).normal(size=len(center)),
        )
        for i in range(c.random)
    ]
    yield from (line for line in made if np.linalg.norm(line.vector) > 0)


def _client(record: dict[str, Any], line: Direction) -> int:
    assert line.owner is not None
    return record['clients'][line.owner]


def _ratio(value: Any, scale: float) -> float:
    return float(value) / scale if scale > 0 else math.nan


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """The middle one of the points is the prompt itself."""
    points = config.landscape.points
    if points % 2 == 0:
        yield (
            f'config.landscape.points={points} must be odd: the one in the '
            f'middle is the global prompt itself; use {points + 1}.'
        )
