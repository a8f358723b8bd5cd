"""FedSGD: each client sends one gradient, the server optimizer steps.

Profit's FedSGD, and FedSGD-LB with a large client batch (2310.04627).
"""

from fedprompt_jax.bank.owners import finite_owners, owner_norms, replicate
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.client import dropped_later, mean_later
from fedprompt_jax.federated.ledger import both_ways
from fedprompt_jax.federated.prepared import EXAMPLES
from fedprompt_jax.federated.server import ServerState


def make(setup: Setup) -> Algorithm:
    """Rounds of one server step on the clients' mean gradient."""

    def init() -> ServerState:
        return server.init(setup.params, setup.server_tx)

    def round(state: ServerState, clients: None, cohort: Cohort):
        bank = replicate(state.params, len(cohort.clients))
        losses, grads = setup.simulation.gradients(bank, cohort.examples)
        state, metrics = setup.server_step(state, grads, grads, cohort)
        finite = finite_owners(grads)
        metrics |= {
            'loss': mean_later(losses, finite),
            'client_grad_norm': mean_later(owner_norms(grads), finite),
            'clients_dropped': dropped_later(finite),
        }
        return (
            state,
            clients,
            metrics | setup.simulation.compute([cohort.examples]),
        )

    return Algorithm(
        init, round, both_ways(lambda state: state.params), takes=(EXAMPLES,)
    )
