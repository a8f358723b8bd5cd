"""Profit's figure 18: worst and best deciles of clients, three algorithms.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_18.py \\
        --config=configs/fedavg_adam.py

The runs are figure 4's.
"""

from configs.studies.profit import figure_4, settings
from fedprompt_jax.study import trajectories, verdicts

CAPTION = (
    'The 10th and the 90th percentile over clients, of local and of global '
    'scores each, while test clients personalize the prompts of three '
    'algorithms (Profit, figure 18): the clients of two seeds together.'
)
MARGIN = 1.0  # score x 100: a smaller fall of the best decile is none
points = figure_4.points


def draw(results):
    """A panel for each level, two lines for each algorithm."""
    return trajectories.draw_percentiles(
        results, settings.level_of, settings.algorithm_of
    )


def claims(results):
    """Claim 8, for each algorithm and level."""
    of = verdicts.groups(
        results, lambda o: (o['data.partition'], settings.algorithm_of(o))
    )
    text = 'the worst decile loses global score, the best one does not'
    for (level, name), trajectory in of.items():
        where = f'{name}, {settings.LEVELS[level]}'
        yield verdicts.Claim(
            '8',
            text,
            where,
            '10th percentile of global scores, before - after',
            verdicts.decile_change(trajectory, 'global', 10, sign=-1),
        )
        yield verdicts.Claim(
            '8',
            text,
            where,
            '90th percentile of global scores, after - before, margin '
            f'{MARGIN:g}',
            verdicts.decile_change(trajectory, 'global', 90),
            MARGIN,
        )
