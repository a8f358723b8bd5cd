"""SCAFFOLD (1910.06378): local gradients are corrected by control variates.

The server keeps c, client i keeps c_i, a local step follows g_i(y) - c_i + c.
`config.scaffold.option` renews c_i by the gradient at x of all the round's
batches ('I'), or by c_i - c + (x - y_i) / (K rate) after K steps ('II').
"""

from typing import Any

import jax
from ml_collections import config_dict
import numpy as np
import optax

from fedprompt_jax.bank import owners
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.ledger import Sent
from fedprompt_jax.federated.transformations import add_correction
from fedprompt_jax.rules import one_of

KEYS = {'option': one_of('I', 'II')}


class State(server.ServerState):
    """FedAvg's, and the server's control variate c, like params."""

    control: Any


def make(setup: Setup) -> Algorithm:
    """FedAvg of corrected clients; both variates travel with the prompts."""
    tx = optax.chain(add_correction(), setup.client_tx)
    second = setup.config.scaffold.option == 'II'

    def init() -> State:
        state = server.init(setup.params, setup.server_tx)
        zeros = optax.tree.zeros_like(setup.params)
        return State(state.params, state.opt_state, state.round, zeros)

    def round(state: State, clients, cohort):
        start = owners.replicate(state.params, len(cohort.clients))
        correction = optax.tree.sub(state.control, clients)  # c - c_i, [C, ...]
        opt_state = correction, setup.start_clients(start, state.round)
        local = setup.simulation.local_train(tx, start, opt_state, cohort.steps)
        displacement = optax.tree.sub(start, local.bank)
        if second:
            steps = (~np.isnan(local.losses)).sum(axis=0)  # K, [C]
            scale = 1 / (steps * setup.client_rate(int(state.round)))
            slope = jax.vmap(optax.tree.scale)(scale, displacement)
            new = optax.tree.sub(slope, correction)
        else:
            new = setup.simulation.gradients(start, cohort.examples)[1]
        # Who is dropped keeps c_i, so that c stays the mean of all c_i.
        finite = owners.finite_owners((displacement, new))
        new = owners.where(finite, new, clients)
        control = jax.tree.map(
            lambda c, i, old: c + (i - old).sum(axis=0) / setup.num_clients,
            *(state.control, new, clients),
        )
        state, metrics = setup.server_step(
            state, displacement, local.first_grads, cohort
        )
        read = cohort.steps if second else cohort.steps * 2
        metrics |= local.metrics(finite) | setup.simulation.compute(read)
        metrics['control_norm'] = optax.tree.norm(control)
        return state.replace(control=control), new, metrics

    return Algorithm(
        *(init, round),
        sent=lambda s: Sent((s.params, s.control), (s.params, s.control)),
        client=lambda s: optax.tree.zeros_like(s.control),
        passes=1 if second else 2,
    )


def faults(config: config_dict.ConfigDict):
    """Option II reads a gradient from a displacement: it needs plain SGD."""
    optimizer = config.client.optimizer
    if config.scaffold.option == 'II' and optimizer != 'sgd':
        yield (
            f"config.client.optimizer={optimizer!r} must be 'sgd' for "
            "config.scaffold.option='II'; or use option 'I'."
        )
