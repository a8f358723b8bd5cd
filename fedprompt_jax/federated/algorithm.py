"""What a federated algorithm is to the rest: an init and a round."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import optax

from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.federated.server import ServerState


class Simulation(Protocol):
    """How a cohort is computed: packed.py or vmapped.py.

    An owner that turns non-finite changes no other owner's result.
    """

    def gradients(self, bank, examples) -> tuple[Any, Any]: ...

    def local_train(self, tx, bank, opt_state, steps) -> LocalResult: ...


class Algorithm(NamedTuple):
    """A pair of functions, made by algorithms.<name>.make.

    Attributes:
      init: params -> ServerState.
      round: (ServerState, Cohort) -> (ServerState, metrics of the round).
    """

    init: Callable[[Any], ServerState]
    round: Callable[[ServerState, Cohort], tuple[ServerState, dict]]


class Ingredients(NamedTuple):
    """What the config says of an algorithm, made real.

    Attributes:
      simulation: how cohorts are computed.
      client_tx: client optimizer.
      server_tx: server optimizer.
      aggregation: 'uniform' or 'examples': weights of the clients' mean.
    """

    simulation: Simulation
    client_tx: optax.GradientTransformation
    server_tx: optax.GradientTransformation
    aggregation: str

    def weights(self, cohort: Cohort) -> np.ndarray:
        """f32 [C], each client's weight in the mean."""
        if self.aggregation == 'uniform':
            return np.ones(len(cohort.clients), np.float32)
        return cohort.num_examples.astype(np.float32)
