"""Ditto (2012.04221): FedAvg(Adam), and a prompt that each client keeps.

python main.py --config=configs/ditto.py
"""

from ml_collections import config_dict

from configs import fedavg_adam


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_adam.get_config(scale)
    c.name = 'ditto'
    c.algorithm = 'ditto'
    # What a client keeps is scored on examples of its own.
    c.data.splits = 'within'
    c.data.held_out_share = 0.35
    c.ditto = config_dict.ConfigDict()
    c.ditto.strength = 0.1  # lambda of (lambda / 2) |v_i - x|^2
    c.ditto.learning_rate = 0.03  # of v_i, with config.client.optimizer
    return c
