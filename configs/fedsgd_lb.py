"""FedSGD-LB: FedSGD with large batches, in as few rounds as FedAvg.

python main.py --config=configs/fedsgd_lb.py
"""

from configs import fedavg_adam

# Table 2 of the paper: server learning rates by partition.
PAPER_LEARNING_RATES = {'high': 0.01, 'medium': 0.1, 'low': 0.1}


def get_config(scale: str = 'quickstart'):
    """The config at a scale (see fedavg_adam.py)."""
    return changed(fedavg_adam.get_config(scale))


def changed(c):
    """A config of FedAvg(Adam) with this algorithm in its place."""
    c.name = 'fedsgd_lb'
    c.algorithm = 'fedsgd'
    c.batch_size *= c.local_steps  # a client's examples of a FedAvg round
    c.local_steps = 1
    if c.scale.startswith('paper'):
        c.server.learning_rate = PAPER_LEARNING_RATES[c.data.partition]
        c.personalization.learning_rate = 0.001  # Table 3
    return c
