"""No federation: each client trains a prompt of its own and keeps it.

python main.py --config=configs/local.py
"""

from ml_collections import config_dict

from configs import fedavg_adam


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_adam.get_config(scale)
    c.name = 'local'
    c.algorithm = 'local'
    # What a client keeps is scored on examples of its own.
    c.data.splits = 'within'
    c.data.held_out_share = 0.35
    c.client.learning_rate = c.personalization.learning_rate
    return c
