"""Profit's figure 10: clients personalize by plain SGD.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_10.py \\
        --config=configs/fedavg_adam.py
"""

from configs import fedavg_sgd
from configs.studies.profit import settings
from fedprompt_jax.study import trajectories

ALGORITHMS = ('FedAvg(Adam)', 'FedAvg(SGD)')
SHARE = 0.1  # of the rate at which clients of FedAvg(SGD) train
CAPTION = (
    'Trajectories of personalization by SGD instead of Adam (Profit, figure '
    '10): high heterogeneity, as many epochs as in "low computation", each '
    'scored. The paper does not name the rate: a tenth of that of the clients '
    'of FedAvg(SGD).'
)


def points(config):
    """The overrides of each run."""
    low = settings.low_computation(config)
    of_training = fedavg_sgd.changed(config.copy_and_resolve_references())
    rate = SHARE * of_training.client.learning_rate
    low['personalization__learning_rate'] = rate
    for name in ALGORITHMS:
        yield settings.overrides(
            config, 'high', name, personalization__optimizer='sgd', **low
        )


def draw(results):
    """A line for each algorithm of stage 1."""
    return trajectories.draw(results, settings.level_of, settings.algorithm_of)
