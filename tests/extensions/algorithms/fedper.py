"""FedPer (1912.00818) for prompts: the last token of a prompt stays private.

Every client keeps the last token of its prompt and never sends it; the others
are averaged as FedAvg does. A client that was never seen has the server's.
"""

from typing import Any

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.owners import finite_owners, replicate
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.ledger import Sent
from fedprompt_jax.federated.server import ServerState


def make(setup: Setup) -> Algorithm:
    """FedAvg of all tokens but the last, which clients keep."""

    def init() -> ServerState:
        return server.init(setup.params, setup.server_tx)

    def joined(state: ServerState, clients: Any) -> Any:
        shared = replicate(state.params, len(jax.tree.leaves(clients)[0]))
        return jax.tree.map(
            lambda s, c: jnp.concatenate([s[:, :-1], c], axis=1),
            shared,
            clients,
        )

    def round(state: ServerState, clients: Any, cohort: Cohort):
        start = joined(state, clients)
        local = setup.simulation.local_train(
            setup.client_tx,
            start,
            setup.start_clients(start, state.round),
            cohort.steps,
        )
        # The server learns nothing of the last token.
        displacement = jax.tree.map(
            lambda s, b: (s - b).at[:, -1:].set(0.0), start, local.bank
        )
        state, metrics = setup.server_step(
            state, displacement, local.first_grads, cohort
        )
        metrics |= local.metrics(finite_owners(local.bank))
        metrics |= setup.simulation.compute(cohort.steps)
        return state, last(local.bank, axis=1), metrics

    def sent(state: ServerState) -> Sent:
        shared = jax.tree.map(lambda x: x[:-1], state.params)
        return Sent(shared, shared)

    return Algorithm(
        init, round, sent, client=lambda s: last(s.params), prompts=joined
    )


def last(tree: Any, axis: int = 0) -> Any:
    """The last token of each leaf, with its axis."""
    return jax.tree.map(
        lambda x: jax.lax.slice_in_dim(x, x.shape[axis] - 1, None, axis=axis),
        tree,
    )
