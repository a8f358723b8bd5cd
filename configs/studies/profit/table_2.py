"""Profit's table 2: learning rates of training, tuned on validation clients.

    python -m fedprompt_jax.study --study=configs/studies/profit/table_2.py \\
        --config=configs/fedavg_adam.py

A run for each pair of rates; the table has the pair with the best validation
score. No test client is read.
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import tuning

RATES = (0.01, 0.1, 1.0, 10.0)  # section 3 of the paper
ALGORITHMS = (
    'FedAvg(Adam)', 'FedAvg(SGD)', 'FedSGD', 'FedSGD-LB', 'Centralized',
)  # fmt: skip
SERVER, CLIENT = 'server.learning_rate', 'client.learning_rate'
CAPTION = (
    'Learning rates with the best score (x 100) of the global prompt on '
    'validation clients, in its best round, and the second best score.'
)


def points(config):
    """The overrides of each run."""
    for level, name in itertools.product(settings.LEVELS, ALGORITHMS):
        of_clients = RATES if name.startswith('FedAvg') else (None,)
        for server, client in itertools.product(RATES, of_clients):
            rates = {SERVER: server}
            if client is not None:
                rates[CLIENT] = client
            yield (
                settings.overrides(
                    config,
                    level,
                    name,
                    personalization__split='validation',
                    personalization__epochs=0,
                    **{
                        key.replace('.', '__'): rate
                        for key, rate in rates.items()
                    },
                )
                | rates
            )


def tabulate(results):
    """The best rates of each algorithm at each level."""
    return tuning.table(
        results,
        ('heterogeneity', 'algorithm'),
        lambda o: (settings.level_of(o), settings.algorithm_of(o)),
        {SERVER: 'server', CLIENT: 'client'},
        tuning.validation_score,
    )
