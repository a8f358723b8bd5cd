"""One round: dispatched as a whole, and read by the host once, at its end.

The devices run behind the host, which packs, dispatches and counts while they
compute. Whatever it wants to know of a round comes in one transfer: losses and
norms, what clients keep, and whether all of it is finite.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.federated import prepared
from fedprompt_jax.federated.later import numbers
from fedprompt_jax.mesh import fetch


class Round(NamedTuple):
    """A round of stage 1 at its end.

    Attributes:
      server: the next state of the server, on the devices.
      rows: what the cohort's clients keep, NumPy arrays [C, ...]; None for
        nothing, or where the round itself has stored them.
      metrics: name in metrics.jsonl -> number.
      finite: whether the server's state is.
    """

    server: Any
    rows: Any
    metrics: dict[str, Any]
    finite: bool


def cohort(experiment: Experiment, number: int, alone: bool = False) -> Cohort:
    """The cohort of a round, from 0, its batches packed and on the devices.

    Args:
      experiment: draws and packs it.
      number: of the round.
      alone: whether no two clients may share a row.
    """
    return prepared.cohort(
        experiment.simulation,
        experiment.cohort(number),
        experiment.algorithm.takes,
        alone,
    )


def compute(
    experiment: Experiment, clients: Clients, server: Any, drawn: Cohort
) -> Round:
    """Computes a round; twice, if clients that shared rows were lost.

    Args:
      experiment: has the algorithm.
      clients: what they keep; nothing is stored here.
      server: its state before the round.
      drawn: of `cohort`.
    """
    rows = clients.take(server, drawn.clients)
    done, sound = _once(experiment, clients, server, rows, drawn)
    if sound or not _share_rows(drawn):
        return done
    again = prepared.cohort(
        experiment.simulation, drawn, experiment.algorithm.takes, alone=True
    )
    return _once(experiment, clients, server, rows, again)[0]


def all_finite(tree: Any) -> jax.Array:
    """Bool scalar: whether all numbers of a tree are finite."""
    return _all_finite(jax.tree.leaves(tree))


@jax.jit
def _all_finite(leaves: list[jax.Array]) -> jax.Array:
    return jnp.array([jnp.isfinite(x).all() for x in leaves]).all()


def _once(
    experiment: Experiment,
    clients: Clients,
    server: Any,
    before: Any,
    drawn: Cohort,
) -> tuple[Round, bool]:
    """A round, and whether all owners that shared rows are sound.

    If one was lost, all are NaN (prepared.py): then so is what they keep, or
    the server's state, or, where neither moved, the loss.
    """
    number = server.round
    server, after, metrics = experiment.algorithm.round(server, before, drawn)
    # The host waits here, and nowhere before. It reads the number of the round
    # as well, which the next one asks for.
    finite, sound, rows, read, *_ = fetch(
        (
            all_finite(server),
            all_finite(after),
            clients.kept(before, after),
            metrics,
            number,
            server.round,
        )
    )
    metrics = numbers(metrics, read)
    sound = finite and sound and np.isfinite(metrics['loss'])
    return Round(server, rows, metrics, bool(finite)), bool(sound)


def _share_rows(drawn: Cohort) -> bool:
    """Whether a client of the cohort can poison others."""
    return prepared.share_rows([*drawn.steps, drawn.whole or ()])
