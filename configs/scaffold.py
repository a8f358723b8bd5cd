"""SCAFFOLD (1910.06378): clients of plain SGD with control variates.

python main.py --config=configs/scaffold.py
"""

from ml_collections import config_dict

from configs import fedavg_sgd


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_sgd.get_config(scale)
    c.name = 'scaffold'
    c.algorithm = 'scaffold'
    c.server.optimizer = 'sgd'
    c.server.learning_rate = 1.0
    c.scaffold = config_dict.ConfigDict()
    # How a client renews its variate: 'I' by another gradient of all batches of
    # the round, 'II' by what it moved, which costs nothing.
    c.scaffold.option = 'II'
    return c
