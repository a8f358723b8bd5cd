"""FedAvg with any client and any server optimizer (Reddi et al. 2021).

Profit's FedAvg(Adam) and FedAvg(SGD): arXiv 2310.04627, section 3.
"""

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.owners import (
    finite_owners,
    mean_of_finite,
    replicate,
)
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Ingredients


def make(ingredients: Ingredients) -> Algorithm:
    """Rounds of local training and one server step on the mean of x - y_i."""
    simulation, client_tx, server_tx, _ = ingredients

    def init(params):
        return server.init(params, server_tx)

    def round(state: server.ServerState, cohort: Cohort):
        start = replicate(state.params, len(cohort.clients))
        # The client optimizer restarts: a client keeps nothing between rounds.
        opt_state = jax.vmap(client_tx.init)(start)
        local = simulation.local_train(
            client_tx, start, opt_state, cohort.steps
        )
        displacement = jax.tree.map(jnp.subtract, start, local.bank)
        state, metrics = server.server_update(
            server_tx,
            state,
            displacement,
            local.first_grads,
            ingredients.weights(cohort),
        )
        finite = finite_owners(displacement)
        for name, values in {
            'loss': local.losses,
            'loss_first_step': local.losses[0],
            'loss_last_step': local.losses[-1],
            'client_grad_norm': local.grad_norms,
        }.items():
            metrics[name] = mean_of_finite(values, finite)
        return state, metrics

    return Algorithm(init, round)
