"""Profit's figure 16: figure 14 for FedSGD-LB.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_16.py \\
        --config=configs/fedavg_adam.py
"""

from configs.studies.profit import figure_14

CAPTION = (
    'Prompts of 5, 10 and 20 virtual tokens, FedSGD-LB, "high computation" '
    '(Profit, figure 16). All lengths have the rates of '
    'length 10, since the paper names no others.'
)


def points(config):
    """The overrides of each run."""
    return figure_14.points(config, 'FedSGD-LB')


def claims(results):
    """Claim 6, for FedSGD-LB."""
    return figure_14.claims(results, 'FedSGD-LB')


draw = figure_14.draw
