"""Reptile (1803.02999): x moves by a share of the mean of y_i - x.

That is FedAvg whose server takes an SGD step; the share, epsilon, is
`config.server.learning_rate`.
"""

from collections.abc import Iterator

from ml_collections import config_dict

from fedprompt_jax.algorithms import fedavg

make = fedavg.make


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """Its server step is plain SGD."""
    if config.server.optimizer != 'sgd':
        yield (
            f'config.server.optimizer={config.server.optimizer!r} must be '
            "'sgd' for algorithm='reptile'; another one is algorithm='fedavg'."
        )
