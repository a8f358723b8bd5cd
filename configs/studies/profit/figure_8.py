"""Profit's figure 8: figure 4 for seed 0 alone; its runs are figure 4's.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_8.py \\
        --config=configs/fedavg_adam.py
"""

import itertools

from configs.studies.profit import figure_4, settings

SEED = 0
CAPTION = (
    'Global against local score while test clients personalize the prompts of '
    'three algorithms, seed 0 (Profit, figure 8): means over clients with '
    'standard errors.'
)


def points(config):
    """The overrides of each run."""
    for level, name in itertools.product(settings.LEVELS, figure_4.ALGORITHMS):
        yield figure_4.point(config, level, name, SEED)


draw = figure_4.draw
