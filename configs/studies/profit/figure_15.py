"""Profit's figure 15: figure 14 for FedSGD.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_15.py \\
        --config=configs/fedavg_adam.py
"""

from configs.studies.profit import figure_14

CAPTION = (
    'Prompts of 5, 10 and 20 virtual tokens, FedSGD, "high computation" '
    '(Profit, figure 15). All lengths have the rates of '
    'length 10, since the paper names no others.'
)


def points(config):
    """The overrides of each run."""
    return figure_14.points(config, 'FedSGD')


def claims(results):
    """Claim 6, for FedSGD."""
    return figure_14.claims(results, 'FedSGD')


draw = figure_14.draw
