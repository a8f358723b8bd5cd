"""FedAvg from a prompt that the server has trained on examples of its own.

The examples are those of config.data.server_share. Without them, FedAvg.
"""

from typing import Any

import jax

from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.federated.algorithm import Algorithm, Setup, StageBefore
from fedprompt_jax.federated.server import ServerState

SERVER_DATA = True
STEPS = 3  # of the stage, each of a round's batches


def make(setup: Setup) -> Algorithm:
    """FedAvg, and a stage before its rounds."""

    def init(server: ServerState) -> Any:
        bank = replicate(server.params, 1)
        return bank, setup.start_clients(bank, server.round)

    def step(state: Any, number: int):
        local = setup.simulation.local_train(
            setup.client_tx, *state, setup.server_steps(number)
        )
        metrics = {'loss': float(local.losses.mean())}
        return (local.bank, local.opt_state), metrics

    def finish(server: ServerState, state: Any) -> ServerState:
        return server.replace(params=jax.tree.map(lambda x: x[0], state[0]))

    stage = StageBefore('warm_start', STEPS, init, step, finish)
    has_data = bool(setup.server_steps(0))
    return fedavg.make(setup)._replace(stages=(stage,) if has_data else ())
