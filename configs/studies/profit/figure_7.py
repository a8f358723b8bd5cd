"""Profit's figure 7: figure 3 (left) for the prompt that FedSGD trained.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_7.py \\
        --config=configs/fedavg_adam.py
"""

from configs.studies.profit import figure_3_left

CAPTION = (
    'Trajectories of personalization of the prompt of FedSGD at five learning '
    'rates (Profit, figure 7, which does not name them: those of figure 3).'
)


def points(config):
    """The overrides of each run."""
    return figure_3_left.points(config, 'FedSGD')


draw = figure_3_left.draw
