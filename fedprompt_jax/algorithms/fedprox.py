"""FedProx: FedAvg whose clients are held near the global prompt (1812.06127).

A client minimizes f_i(y) + (mu / 2) |y - x|^2; `config.fedprox.mu` is mu.
"""

import optax

from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.transformations import pull_to_start
from fedprompt_jax.rules import number

KEYS = {'mu': number(0)}


def make(setup: Setup) -> Algorithm:
    """FedAvg with the gradient of the proximal term."""
    tx = optax.chain(pull_to_start(setup.config.fedprox.mu), setup.client_tx)
    return fedavg.make(setup._replace(client_tx=tx))
