"""FedSGD: each client sends one gradient, the server optimizer steps.

Profit's FedSGD, and FedSGD-LB with a large client batch (2310.04627).
"""

import itertools

from fedprompt_jax.bank.owners import (
    finite_owners,
    mean_of_finite,
    owner_norms,
    replicate,
)
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Ingredients


def make(ingredients: Ingredients) -> Algorithm:
    """Rounds of one server step on the clients' mean gradient."""
    simulation, _, server_tx, _ = ingredients

    def init(params):
        return server.init(params, server_tx)

    def round(state: server.ServerState, cohort: Cohort):
        bank = replicate(state.params, len(cohort.clients))
        examples = list(itertools.chain.from_iterable(cohort.steps))
        losses, grads = simulation.gradients(bank, examples)
        state, metrics = server.server_update(
            server_tx, state, grads, grads, ingredients.weights(cohort)
        )
        finite = finite_owners(grads)
        metrics['loss'] = mean_of_finite(losses, finite)
        norms = owner_norms(grads)
        metrics['client_grad_norm'] = mean_of_finite(norms, finite)
        return state, metrics

    return Algorithm(init, round)
