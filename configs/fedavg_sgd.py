"""FedAvg with plain SGD on the clients: Profit's FedAvg(SGD).

python main.py --config=configs/fedavg_sgd.py
"""

from configs import fedavg_adam

# Table 2 of the paper: (server, client) learning rates by partition.
PAPER_LEARNING_RATES = {
    'high': (1.0, 10.0),
    'medium': (0.1, 10.0),
    'low': (1.0, 10.0),
}


def get_config(scale: str = 'quickstart'):
    """The config at a scale (see fedavg_adam.py)."""
    return changed(fedavg_adam.get_config(scale))


def changed(c):
    """A config of FedAvg(Adam) with this algorithm in its place."""
    c.name = 'fedavg_sgd'
    c.client.optimizer = 'sgd'
    c.client.learning_rate = 1.0
    if c.scale.startswith('paper'):
        rates = PAPER_LEARNING_RATES[c.data.partition]
        c.server.learning_rate, c.client.learning_rate = rates
        if c.data.partition == 'medium':
            c.personalization.learning_rate = 0.001  # Table 3
    return c
