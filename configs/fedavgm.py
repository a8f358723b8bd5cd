"""FedAvgM (1909.06335): FedAvg(SGD) with momentum on the server.

python main.py --config=configs/fedavgm.py
"""

from ml_collections import config_dict

from configs import fedavg_sgd


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_sgd.get_config(scale)
    c.name = 'fedavgm'
    c.server.optimizer = 'sgd(momentum=0.9)'
    c.server.learning_rate = 0.3
    return c
