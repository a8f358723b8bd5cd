"""FedYogi (2003.00295): FedAvg(SGD) with Yogi on the server.

python main.py --config=configs/fedyogi.py
"""

from ml_collections import config_dict

from configs import fedavg_sgd


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_sgd.get_config(scale)
    c.name = 'fedyogi'
    c.server.optimizer = 'yogi(b1=0.9, b2=0.99, eps=1e-3)'
    c.server.learning_rate = 0.1
    return c
