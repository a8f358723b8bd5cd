"""FedAdagrad (2003.00295): FedAvg(SGD) with Adagrad on the server.

python main.py --config=configs/fedadagrad.py
"""

from ml_collections import config_dict

from configs import fedavg_sgd


def get_config(scale: str = 'quickstart') -> config_dict.ConfigDict:
    """The config at a scale (see fedavg_adam.py)."""
    c = fedavg_sgd.get_config(scale)
    c.name = 'fedadagrad'
    c.server.optimizer = 'adagrad(initial_accumulator_value=0.0, eps=1e-6)'
    c.server.learning_rate = 0.1
    return c
