"""Profit's figure 13: FedSGD with many rounds against large batches.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_13.py \\
        --config=configs/fedavg_adam.py
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories

ALGORITHMS = ('FedSGD', 'FedSGD-LB')
CAPTION = (
    'FedSGD reads as many examples in many rounds as FedSGD-LB in few '
    '(Profit, figure 13): trajectories of personalization, means over test '
    'clients with standard errors.'
)


def points(config):
    """The overrides of each run."""
    for level, name in itertools.product(settings.LEVELS, ALGORITHMS):
        yield settings.overrides(config, level, name)


def draw(results):
    """A panel for each level, a line for each algorithm."""
    return trajectories.draw(results, settings.level_of, settings.algorithm_of)
