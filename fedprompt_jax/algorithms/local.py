"""No federation: every client trains a prompt of its own and keeps it.

Nothing is sent, and the server's prompt stays the initial one. The baseline
that says what federation is worth to a training client.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.owners import finite_owners
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.ledger import Sent


class State(NamedTuple):
    """The server counts rounds alone."""

    params: Any
    round: jax.Array


def make(setup: Setup) -> Algorithm:
    """Rounds in which the cohort's clients train what they keep."""

    def init() -> State:
        return State(setup.params, jnp.zeros((), jnp.int32))

    def round(state: State, clients: Any, cohort: Cohort):
        local = setup.simulation.local_train(
            setup.client_tx,
            clients,
            setup.start_clients(clients, state.round),
            cohort.steps,
        )
        metrics = local.metrics(finite_owners(local.bank))
        metrics |= setup.simulation.compute(cohort.steps)
        return state._replace(round=state.round + 1), local.bank, metrics

    return Algorithm(
        init,
        round,
        sent=lambda state: Sent(None, None),
        client=lambda state: state.params,
        prompts=lambda state, clients: clients,
    )
