"""Profit's figure 18: worst and best deciles of clients, three algorithms.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_18.py \\
        --config=configs/fedavg_adam.py

The runs are figure 4's.
"""

from configs.studies.profit import figure_4, settings
from fedprompt_jax.study import trajectories

CAPTION = (
    'The 10th and the 90th percentile over clients, of local and of global '
    'scores each, while test clients personalize the prompts of three '
    'algorithms (Profit, figure 18): the clients of two seeds together.'
)
points = figure_4.points


def draw(results):
    """A panel for each level, two lines for each algorithm."""
    return trajectories.draw_percentiles(
        results, settings.level_of, settings.algorithm_of
    )
