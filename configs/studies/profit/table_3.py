"""Profit's table 3: learning rates of personalization, tuned likewise.

    python -m fedprompt_jax.study --study=configs/studies/profit/table_3.py \\
        --config=configs/fedavg_adam.py

Validation clients personalize; the table has the rate after whose last epoch
their local score is best. The runs of an algorithm and a level share stage 1.
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import tuning

RATE = 'personalization.learning_rate'
RATES = settings.RATES[:-1]  # the grid of appendix C
HIGH = (*settings.ALGORITHMS,)
LOW = ('FedAvg(Adam)', 'FedAvg(SGD)', 'FedSGD')
CAPTION = (
    'Learning rates of personalization with the best local score (x 100) of '
    'validation clients after the last epoch, the second best, and the global '
    'score of the best. The paper chose "the best local score (0.32) with '
    'minimal drop in global score", without saying how the two were weighed.'
)


def points(config):
    """The overrides of each run."""
    for level, name in itertools.product(settings.LEVELS, HIGH):
        for low, rate in itertools.product((False, True), RATES):
            if low and name not in LOW:
                continue
            more = settings.low_computation(config, level, name) if low else {}
            more['personalization__learning_rate'] = rate
            yield settings.overrides(
                config,
                level,
                name,
                personalization__split='validation',
                **more,
            ) | {RATE: rate}


def computation_of(overrides) -> str:
    """'low' or 'high', from the keys that a run overrides."""
    changed = ('personalization.epochs', 'personalization.every')
    return 'low' if any(key in overrides for key in changed) else 'high'


def tabulate(results):
    """The best rate of each algorithm at each level, high and low."""
    return tuning.table(
        results,
        ('heterogeneity', 'algorithm', 'computation'),
        lambda o: (
            settings.level_of(o),
            settings.algorithm_of(o),
            computation_of(o),
        ),
        {RATE: 'rate'},
        tuning.local_score,
        {'global score': tuning.global_score},
    )
