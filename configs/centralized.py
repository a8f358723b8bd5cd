"""Centralized training on the pooled data of all training clients.

    python main.py --config=configs/centralized.py

As many examples a step as a FedAvg cohort takes a local step, and as many
steps in all.
"""

from configs import fedavg_adam


def get_config(scale: str = 'quickstart'):
    """The config at a scale (see fedavg_adam.py)."""
    return changed(fedavg_adam.get_config(scale))


def changed(c):
    """A config of FedAvg(Adam) with this algorithm in its place."""
    c.name = 'centralized'
    c.algorithm = 'centralized'
    c.batch_size *= c.clients_per_round
    c.rounds *= c.local_steps
    c.validation.every *= c.local_steps
    c.clients_per_round = c.local_steps = 1
    if c.scale.startswith('paper'):
        c.server.learning_rate = 1.0  # section C.2
    return c
