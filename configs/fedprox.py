"""FedProx (1812.06127): FedAvg(Adam) with a pull toward the global prompt.

python main.py --config=configs/fedprox.py
"""

from ml_collections import config_dict

from configs import fedavg_adam


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_adam.get_config(scale)
    c.name = 'fedprox'
    c.algorithm = 'fedprox'
    c.fedprox = config_dict.ConfigDict()
    c.fedprox.mu = 0.1  # of the proximal term (mu / 2) |y - x|^2
    return c
