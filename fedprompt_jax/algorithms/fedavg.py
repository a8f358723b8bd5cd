"""FedAvg with any client and any server optimizer (Reddi et al. 2021).

Profit's FedAvg(Adam) and FedAvg(SGD): arXiv 2310.04627, section 3. FedAvgM,
FedAdam, FedYogi and FedAdagrad are this with the server optimizer of their
name (2003.00295, algorithm 2).
"""

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.owners import finite_owners, replicate
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.ledger import both_ways
from fedprompt_jax.federated.server import ServerState


def make(setup: Setup) -> Algorithm:
    """Rounds of local training and one server step on the mean of x - y_i."""

    def init() -> ServerState:
        return server.init(setup.params, setup.server_tx)

    def round(state: ServerState, clients: None, cohort: Cohort):
        start = replicate(state.params, len(cohort.clients))
        # The client optimizer restarts: a client keeps nothing between rounds.
        local = setup.simulation.local_train(
            setup.client_tx,
            start,
            setup.start_clients(start, state.round),
            cohort.steps,
        )
        displacement = jax.tree.map(jnp.subtract, start, local.bank)
        state, metrics = setup.server_step(
            state, displacement, local.first_grads, cohort
        )
        metrics |= local.metrics(finite_owners(displacement))
        return state, clients, metrics | setup.simulation.compute(cohort.steps)

    return Algorithm(init, round, both_ways(lambda state: state.params))
