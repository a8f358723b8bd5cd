"""Reptile (1803.02999): the global prompt moves a share of the way.

python main.py --config=configs/reptile.py
"""

from ml_collections import config_dict

from configs import fedavg_adam


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_adam.get_config(scale)
    c.name = 'reptile'
    c.algorithm = 'reptile'
    c.server.optimizer = 'sgd'
    c.server.learning_rate = 0.5  # epsilon, that share
    return c
