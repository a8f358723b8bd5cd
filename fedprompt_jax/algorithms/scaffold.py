"""SCAFFOLD (1910.06378): local gradients are corrected by control variates.

The server keeps c, client i keeps c_i, a local step follows g_i(y) - c_i + c.
`config.scaffold.option` renews c_i by the gradient at x of all the round's
batches ('I'), or by c_i - c + (x - y_i) / (K rate) after K steps ('II').
"""

import jax
from ml_collections import config_dict
import optax

from fedprompt_jax.bank import owners
from fedprompt_jax.federated import server
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.client import num_steps
from fedprompt_jax.federated.ledger import both_ways
from fedprompt_jax.federated.prepared import EXAMPLES, STEPS
from fedprompt_jax.federated.transformations import add_correction
from fedprompt_jax.rules import one_of

KEYS = {'option': one_of('I', 'II')}


class State(server.ServerState):
    """FedAvg's, and the server's control variate c, like params."""

    control: dict


def make(setup: Setup) -> Algorithm:
    """FedAvg of corrected clients; both variates travel with the prompts."""
    tx = optax.chain(add_correction(), setup.client_tx)
    second = setup.config.scaffold.option == 'II'

    def init() -> State:
        state = server.init(setup.params, setup.server_tx)
        return State(**vars(state), control=optax.tree.zeros_like(setup.params))

    def round(state: State, clients, cohort):
        start = owners.replicate(state.params, len(cohort.clients))
        correction = optax.tree.sub(state.control, clients)  # c - c_i, [C, ...]
        opt_state = correction, setup.start_clients(start, state.round)
        local = setup.simulation.local_train(tx, start, opt_state, cohort.steps)
        displacement = optax.tree.sub(start, local.bank)
        if second:
            steps = num_steps(cohort.steps, len(cohort.clients))  # K, [C]
            rate = setup.client_rate(int(state.round))
            slope = jax.vmap(optax.tree.scale)(1 / (steps * rate), displacement)
            new = optax.tree.sub(slope, correction)
        else:
            new = setup.simulation.gradients(start, cohort.examples)[1]
        # Who is dropped keeps c_i, so that c stays the mean of all c_i.
        finite = owners.finite_owners((displacement, new))
        new = owners.where(finite, new, clients)
        change = jax.tree.map(lambda i, c: (i - c).sum(axis=0), new, clients)
        share = 1 / setup.num_clients
        control = optax.tree.add_scale(state.control, share, change)
        state, metrics = setup.server_step(
            state, displacement, local.first_grads, cohort
        )
        read = [*cohort.steps] * (1 if second else 2)
        metrics |= local.metrics(finite) | setup.simulation.compute(read)
        metrics['control_norm'] = optax.tree.norm(control)
        return state.replace(control=control), new, metrics

    def zeros(state: State):
        return optax.tree.zeros_like(state.control)

    sent = both_ways(lambda state: (state.params, state.control))
    return Algorithm(
        init,
        round,
        sent,
        zeros,
        passes=1 if second else 2,
        takes=(STEPS,) if second else (STEPS, EXAMPLES),
    )


def faults(config: config_dict.ConfigDict):
    """Option II reads a gradient from a displacement: it needs plain SGD."""
    if config.scaffold.option == 'II' and config.client.optimizer != 'sgd':
        yield (
            f'config.client.optimizer={config.client.optimizer!r} must be '
            "'sgd' for config.scaffold.option='II'; or use option 'I'."
        )
