"""Centralized training: FedSGD with one client that holds everybody's data.

Its population is pooled before it gets here (`POOLED`); one optimizer, the
server's, keeps its state through the run. Profit's baseline (2310.04627).
"""

from collections.abc import Iterator

from ml_collections import config_dict

from fedprompt_jax.algorithms import fedsgd
from fedprompt_jax.federated.algorithm import Algorithm, Setup
from fedprompt_jax.federated.ledger import Sent

POOLED = True  # the training clients are one client to this algorithm


def make(setup: Setup) -> Algorithm:
    """FedSGD, without anybody to send anything to."""
    return fedsgd.make(setup)._replace(sent=lambda state: Sent(None, None))


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Pooled data are one client's."""
    if config.clients_per_round != 1:
        yield (
            f'config.clients_per_round={config.clients_per_round} must be 1 '
            "for algorithm='centralized', where one client holds all data."
        )
