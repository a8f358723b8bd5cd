"""Stage 1 as the config names it: an algorithm with its optimizers."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import optax

from fedprompt_jax import algorithms
from fedprompt_jax.bank.kind import Params
from fedprompt_jax.federated import (
    aggregates,
    ledger,
    optimizers,
    schedules,
)
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Auxiliary,
    Probe,
    Setup,
    Simulation,
    Steps,
)


def make(
    config: config_dict.ConfigDict,
    simulation: Simulation,
    params: Params,
    num_clients: int,
    server_steps: Callable[[int], Steps] = lambda round: [],
    auxiliary: Callable[[config_dict.ConfigDict], Auxiliary] | None = None,
    probe: Probe | None = None,
) -> Algorithm:
    """The config's algorithm.

    Args:
      config: the checked config.
      simulation: computes cohorts.
      params: what is trained, before any training.
      num_clients: N, of the population.
      server_steps: see Setup.
      auxiliary: see Setup; None where there is no other model.
      probe: see Setup; None where nothing is computed.
    """
    client_tx, client_rate = scheduled(config.client, config.rounds)
    server_tx, server_rate = scheduled(config.server, config.rounds)
    if config.client.clip_norm:
        clip = optax.clip_by_global_norm(config.client.clip_norm)
        client_tx = optax.chain(clip, client_tx)
    setup = Setup(
        config=config,
        simulation=simulation,
        client_tx=client_tx,
        client_rate=client_rate,
        server_tx=server_tx,
        server_rate=server_rate,
        aggregate=aggregates.make(config.aggregation),
        num_clients=num_clients,
        params=params,
        server_steps=server_steps,
        auxiliary=auxiliary,
        probe=probe,
    )
    return algorithms.get(config.algorithm).make(setup)


class Exchange(NamedTuple):
    """What an algorithm sends and keeps, as shapes.

    Attributes:
      sent: shapes of what one client gets and returns in a round.
      kept: shapes of what one client keeps between rounds; None for nothing.
      passes: gradients that are taken of each batch of a cohort.
    """

    sent: ledger.Sent
    kept: Any
    passes: float


def exchange(
    config: config_dict.ConfigDict,
    params: Params,
    auxiliary_shapes: Callable[[config_dict.ConfigDict], Params] | None = None,
) -> Exchange:
    """What the config's algorithm sends and keeps; nothing is computed.

    Args:
      config: the checked config.
      params: shapes of what is trained.
      auxiliary_shapes: section of another model -> shapes of what is trained
        of it.
    """
    passes = []

    def auxiliary(section: config_dict.ConfigDict) -> Auxiliary:
        assert auxiliary_shapes is not None
        zeros = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), auxiliary_shapes(section)
        )
        none = cast(Any, None)
        return Auxiliary(none, zeros, none, none)

    def trees(params: Params) -> tuple[ledger.Sent, Any]:
        # No round is computed: nothing asks for the simulation.
        algorithm = make(
            config,
            cast(Any, None),
            params,
            num_clients=1,
            auxiliary=auxiliary if auxiliary_shapes else None,
        )
        passes.append(algorithm.passes)
        state = algorithm.init()
        client = algorithm.client
        return algorithm.sent(state), client(state) if client else None

    sent, kept = jax.eval_shape(trees, params)
    return Exchange(sent, kept, passes[-1])


def scheduled(
    section: config_dict.ConfigDict, rounds: int
) -> tuple[optax.GradientTransformation, Callable[[int], float]]:
    """The optimizer of a section, and its learning rate by round from 0.

    Args:
      section: config.client or config.server.
      rounds: of the run.
    """
    factor = schedules.make(section.schedule, rounds)
    constant = schedules.is_constant(section.schedule)
    make = optimizers.make if constant else optimizers.make_scheduled
    return (
        make(section.optimizer, section.learning_rate),
        lambda round: section.learning_rate * factor(round),
    )
