"""Profit's figure 9: figure 4 for seed 1 alone; its runs are figure 4's.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_9.py \\
        --config=configs/fedavg_adam.py
"""

import itertools

from configs.studies.profit import figure_4, settings

SEED = 1
CAPTION = (
    'Global against local score while test clients personalize the prompts of '
    'three algorithms, seed 1 (Profit, figure 9): means over clients with '
    'standard errors.'
)


def points(config):
    """The overrides of each run."""
    for level, name in itertools.product(settings.LEVELS, figure_4.ALGORITHMS):
        yield figure_4.point(config, level, name, SEED)


draw = figure_4.draw
