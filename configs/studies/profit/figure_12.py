"""Profit's figure 12: "low computation" with a quarter of the examples.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_12.py \\
        --config=configs/fedavg_adam.py

Stage 1 is that of figure 4, seed 0.
"""

import itertools

from configs.studies.profit import figure_4, figure_11, settings
from fedprompt_jax.study import trajectories

EPOCHS, EVERY = 3, 3  # times those of "low computation"; epochs between scores
CAPTION = (
    'Three algorithms, "low computation" with a quarter of the examples '
    '(64 in the paper) for three times as many epochs, every third scored '
    '(Profit, figure 12). The rates are those of "low computation", since the '
    'paper names none.'
)


def points(config):
    """The overrides of each run."""
    p = config.personalization
    few = max(1, p.train_examples // figure_11.SHARE)
    for level, name in itertools.product(settings.LEVELS, figure_4.ALGORITHMS):
        low = settings.low_computation(config, level, name)
        low['personalization__epochs'] *= EPOCHS
        low['personalization__every'] = EVERY
        yield settings.overrides(
            config,
            level,
            name,
            personalization__train_examples=few,
            personalization__batch_size=min(p.batch_size, few),
            **low,
        )


def draw(results):
    """A panel for each level, a line for each algorithm."""
    return trajectories.draw(results, settings.level_of, settings.algorithm_of)
