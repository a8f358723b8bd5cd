"""Ditto (2012.04221): FedAvg, and a prompt that each client keeps beside it.

Client i minimizes f_i(v_i) + (lambda / 2) |v_i - x|^2, where x is the global
prompt that it gets; x is trained by FedAvg as if there were no v_i. A client
answers with v_i. `config.ditto` has `strength` (lambda) and `learning_rate`.
"""

from typing import Any

import jax
import optax

from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.bank.owners import finite_owners, replicate
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import optimizers
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.client import mean_later
from fedprompt_jax.federated.transformations import pull_to_start
from fedprompt_jax.rules import number

KEYS = {'strength': number(0), 'learning_rate': number(0, above=True)}


def make(setup: Setup) -> Algorithm:
    """FedAvg, and as many steps of v_i on the same batches."""
    c = setup.config
    personal_tx = optax.chain(
        pull_to_start(c.ditto.strength),
        optimizers.make(c.client.optimizer, c.ditto.learning_rate),
    )
    average = fedavg.make(setup)

    def round(state: Any, clients: Any, cohort: Cohort):
        # The pull is toward x, not toward where v_i starts.
        _, opt_state = jax.vmap(personal_tx.init)(clients)
        center = replicate(state.params, len(cohort.clients))
        personal = setup.simulation.local_train(
            personal_tx, clients, (center, opt_state), cohort.steps
        )
        state, _, metrics = average.round(state, None, cohort)
        finite = finite_owners(personal.bank)
        metrics['personal_loss'] = mean_later(personal.losses, finite)
        for key in ('tokens', 'flops'):
            metrics[key] *= 2
        return state, personal.bank, metrics

    return average._replace(
        round=round,
        client=lambda state: state.params,
        prompts=lambda state, clients: clients,
        passes=2.0,
    )
