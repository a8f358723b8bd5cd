"""Stage 1 as the config names it: an algorithm with its optimizers."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from ml_collections import config_dict
import optax

from fedprompt_jax import algorithms
from fedprompt_jax.bank.kind import Params
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated import (
    aggregates,
    ledger,
    optimizers,
    schedules,
)
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Auxiliary,
    Excerpt,
    Probe,
    Setup,
    Simulation,
    Steps,
)


def make(made: Setup) -> Algorithm:
    """The config's algorithm, from what `setup` returns."""
    return algorithms.get(made.config.algorithm).make(made)


def setup(
    config: config_dict.ConfigDict,
    simulation: Simulation,
    params: Params,
    num_clients: int,
    server_steps: Callable[[int], Steps] = lambda round: [],
    auxiliary: Callable[[config_dict.ConfigDict], Auxiliary] | None = None,
    probe: Probe | None = None,
    excerpt: Callable[[int, int, bool, bool], Excerpt] | None = None,
    server_batch: Callable[[int, int], list[Example]] | None = None,
    server_simulation: Simulation | None = None,
) -> Setup:
    """What the config's algorithm is made of.

    Args:
      config: the checked config.
      simulation: computes cohorts.
      params: what is trained, before any training.
      num_clients: N, of the population.
      server_steps: see Setup.
      auxiliary: see Setup; None where there is no other model.
      probe: see Setup; None where nothing is computed.
      excerpt: see Setup, as is server_batch.
      server_batch: None where nothing is computed.
      server_simulation: see Setup.
    """
    client_tx, client_rate = scheduled(config.client, config.rounds)
    server_tx, server_rate = scheduled(config.server, config.rounds)
    if config.client.clip_norm:
        clip = optax.clip_by_global_norm(config.client.clip_norm)
        client_tx = optax.chain(clip, client_tx)
    return Setup(
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
        excerpt=excerpt,
        server_batch=server_batch,
        server_simulation=server_simulation,
    )


class Exchange(NamedTuple):
    """What an algorithm sends and keeps, as shapes.

    Attributes:
      sent: shapes of what one client gets and returns in a round.
      kept: shapes of what one client keeps between rounds; None for nothing.
      passes: gradients that are taken of each batch of a cohort.
      once: shapes of what one client gets in its first round; None for nothing.
      stages: names of what is done before the rounds, as far as it is known.
    """

    sent: ledger.Sent
    kept: Any
    passes: float
    once: Any = None
    stages: tuple[str, ...] = ()


def exchange(
    config: config_dict.ConfigDict,
    params: Params,
    auxiliary_shapes: Callable[[config_dict.ConfigDict], Params] | None = None,
    excerpt_shapes: Callable[[int, int, bool], Params] | None = None,
) -> Exchange:
    """What the config's algorithm sends and keeps; nothing is computed.

    Args:
      config: the checked config.
      params: shapes of what is trained.
      auxiliary_shapes: section of another model -> shapes of what is trained
        of it.
      excerpt_shapes: see Setup.excerpt -> shapes of the smaller model's
        parameters.
    """
    passes: list[float] = []
    stages: list[str] = []

    def zeros(shapes: Params) -> Params:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def excerpt(*which: Any) -> Excerpt:
        assert excerpt_shapes is not None
        params, none = zeros(excerpt_shapes(*which[:3])), cast(Any, None)
        fields = len(Excerpt._fields) - 1
        return Excerpt(params, *[none] * fields)

    def auxiliary(section: config_dict.ConfigDict) -> Auxiliary:
        assert auxiliary_shapes is not None
        none = cast(Any, None)
        return Auxiliary(none, zeros(auxiliary_shapes(section)), none, none)

    def trees(params: Params) -> tuple[ledger.Sent, Any, Any]:
        # No round is computed: nothing asks for the simulation.
        algorithm = make(
            setup(
                config,
                cast(Any, None),
                params,
                num_clients=1,
                auxiliary=auxiliary if auxiliary_shapes else None,
                excerpt=excerpt,
            )
        )
        passes.append(algorithm.passes)
        stages[:] = [stage.name for stage in algorithm.stages]
        state = algorithm.init()
        client, once = algorithm.client, algorithm.sent_once
        return (
            algorithm.sent(state),
            client(state) if client else None,
            once(state) if once else None,
        )

    sent, kept, once = jax.eval_shape(trees, params)
    return Exchange(sent, kept, passes[-1], once, tuple(stages))


def scheduled(
    section: config_dict.ConfigDict, rounds: int
) -> tuple[optax.GradientTransformation, schedules.ByRound]:
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
        lambda round, step=1.0: section.learning_rate * factor(round, step),
    )
