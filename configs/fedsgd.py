"""FedSGD: one gradient a client a round, Adam on the server.

    python main.py --config=configs/fedsgd.py

As many examples as FedAvg, in `local_steps` times as many rounds.
"""

from configs import fedavg_adam

# Table 2 of the paper: server learning rates by partition.
PAPER_LEARNING_RATES = {'high': 1.0, 'medium': 1.0, 'low': 1.0}


def get_config(scale: str = 'quickstart'):
    """The config at a scale (see fedavg_adam.py)."""
    return changed(fedavg_adam.get_config(scale))


def changed(c):
    """A config of FedAvg(Adam) with this algorithm in its place."""
    c.name = 'fedsgd'
    c.algorithm = 'fedsgd'
    c.rounds *= c.local_steps
    c.validation.every *= c.local_steps
    c.local_steps = 1
    if c.scale.startswith('paper'):
        rate = PAPER_LEARNING_RATES[c.data.partition]
        c.server.learning_rate = rate
        if c.data.partition == 'high':
            c.personalization.learning_rate = 10**-1.5  # Table 3
    return c
