"""FedAvg with any client and any server optimizer (Reddi et al. 2021).

Profit's FedAvg(Adam) and FedAvg(SGD): arXiv 2310.04627, section 3.
"""

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import (
    Algorithm,
    Ingredients,
    isolating,
)
from fedprompt_jax.federated.client import finite_owners


def make(ingredients: Ingredients) -> Algorithm:
    """Rounds of local training and one server step on the mean of x - y_i."""
    simulation, client_tx, server_tx, _ = ingredients

    def init(params):
        return server.init(params, server_tx)

    def round(state: server.ServerState, cohort: Cohort):
        start = server.replicate(state.params, len(cohort.clients))
        # The client optimizer restarts: a client keeps nothing between rounds.
        opt_state = jax.vmap(client_tx.init)(start)

        def train(isolate):
            local = simulation.local_train(
                client_tx, start, opt_state, cohort.steps, isolate
            )
            return jax.tree.map(jnp.subtract, start, local.bank), local

        displacement, local = isolating(train)
        state, metrics = server.server_update(
            server_tx,
            state,
            displacement,
            local.first_grads,
            ingredients.weights(cohort),
        )
        finite = np.asarray(finite_owners(displacement))
        losses = np.where(finite, local.losses, np.nan)
        norms = np.where(finite, local.grad_norms, np.nan)
        metrics['loss'] = np.nanmean(losses)
        metrics['loss_first_step'] = np.nanmean(losses[0])
        metrics['loss_last_step'] = np.nanmean(losses[-1])
        metrics['client_grad_norm'] = np.nanmean(norms)
        return state, metrics

    return Algorithm(init, round)
