"""What Profit's studies have in common: overrides of the config, by name."""

from collections.abc import Iterator
import copy
from typing import Any

from configs import centralized, fedavg_adam, fedavg_sgd, fedsgd, fedsgd_lb

LEVELS = {
    'high': 'high heterogeneity',
    'medium': 'medium heterogeneity',
    'low': 'low heterogeneity',
}
ALGORITHMS = {
    'FedAvg(Adam)': lambda c: c,
    'FedAvg(SGD)': fedavg_sgd.changed,
    'FedSGD': fedsgd.changed,
    'FedSGD-LB': fedsgd_lb.changed,
    'Centralized': centralized.changed,
    'Random-Gaussian': lambda c: _untrained(c, 'normal'),
    'Random-Word': lambda c: _untrained(c, 'vocabulary'),
}
# Table 3 of the paper, "low computation", and the one exception to its rate.
LOW_EPOCHS, LOW_RATE = 10, 0.1
LOW_RATES = {('FedAvg(SGD)', 'medium'): 0.01}
# The rates that the paper tries in personalization: those of appendix C, and
# the largest one of figure 3.
RATES = (1e-3, 1e-2, 10**-1.5, 1e-1, 10**-0.5)


def overrides(
    config, partition: str, algorithm: str = 'FedAvg(Adam)', **changes: Any
) -> dict[str, Any]:
    """What a run overrides of the study's config.

    Args:
      config: of the study.
      partition: a key of LEVELS; at scale 'paper' with its learning rates.
      algorithm: a key of ALGORITHMS.
      **changes: more keys, with __ for a dot.
    """
    if config.algorithm != 'fedavg' or 'adam' not in config.client.optimizer:
        raise ValueError(
            "Profit's studies change FedAvg(Adam) into the other algorithms: "
            'start them from configs/fedavg_adam.py.'
        )
    c = copy.deepcopy(config)
    c.data.partition = partition
    if c.scale.startswith('paper'):
        c.scale = f'paper-{partition}'
        rates = fedavg_adam.PAPER_LEARNING_RATES[partition]
        c.server.learning_rate, c.client.learning_rate = rates
    c = ALGORITHMS[algorithm](c)
    if not algorithm.startswith('FedAvg'):  # clients have no rate
        c.client.learning_rate = config.client.learning_rate
    c.update_from_flattened_dict(
        {key.replace('__', '.'): value for key, value in changes.items()}
    )
    before = dict(flat(config.to_dict()))
    found = {k: v for k, v in flat(c.to_dict()) if before.get(k) != v}
    # The name of the config says nothing that the algorithm does not.
    found.pop('name', None)
    return {'data.partition': partition} | found


def _untrained(c, init: str):
    """A prompt that no round has trained: its first values."""
    c.rounds = 0
    c.prompt.init = init
    return c


def low_computation(
    config, partition: str = 'high', algorithm: str = 'FedAvg(Adam)'
) -> dict[str, Any]:
    """Keys of "low computation": few epochs at a large rate, each scored.

    At other scales half of the config's epochs at twice its rate.
    """
    if config.scale.startswith('paper'):
        rate = LOW_RATES.get((algorithm, partition), LOW_RATE)
        epochs = LOW_EPOCHS
    else:
        p = config.personalization
        epochs, rate = max(1, p.epochs // 2), 2 * p.learning_rate
    return {
        'personalization__epochs': epochs,
        'personalization__learning_rate': rate,
        'personalization__every': 1,
    }


def flat(tree: dict[str, Any], before: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested dicts."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f'{before}{key}.')
        else:
            yield f'{before}{key}', value


def level_of(overrides: dict[str, Any]) -> str:
    """The title of a run's panel."""
    return LEVELS[overrides['data.partition']]


def algorithm_of(overrides: dict[str, Any]) -> str:
    """The name of a run's algorithm, from what it overrides."""
    if overrides.get('rounds') == 0:
        words = overrides.get('prompt.init') == 'vocabulary'
        return 'Random-Word' if words else 'Random-Gaussian'
    if overrides.get('algorithm') == 'fedsgd':
        return 'FedSGD-LB' if 'batch_size' in overrides else 'FedSGD'
    if overrides.get('algorithm') == 'centralized':
        return 'Centralized'
    sgd = overrides.get('client.optimizer') == 'sgd'
    return 'FedAvg(SGD)' if sgd else 'FedAvg(Adam)'
