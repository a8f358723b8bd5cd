"""Profit's figure 13: FedSGD with many rounds against large batches.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_13.py \\
        --config=configs/fedavg_adam.py
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories, verdicts

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


def claims(results):
    """Claim 5, at each level."""
    of = verdicts.groups(
        results, lambda o: (o['data.partition'], settings.algorithm_of(o))
    )
    many, large = ALGORITHMS
    for level, title in settings.LEVELS.items():
        yield verdicts.larger(
            '5',
            'many rounds are much better than large batches (FedSGD)',
            f'{many} against {large}, {title}',
            of[level, many],
            of[level, large],
        )
