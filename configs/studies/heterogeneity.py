"""Profit's three levels of heterogeneity, three seeds each (2310.04627).

    python -m fedprompt_jax.study --study=configs/studies/heterogeneity.py \\
        --config=configs/fedavg_adam.py:sni --config.data.path=DIR
"""

import itertools

LEVELS = ('high', 'medium', 'low')
SEEDS = (0, 1, 2)


def points():
    """The overrides of each run."""
    for partition, seed in itertools.product(LEVELS, SEEDS):
        yield {'data.partition': partition, 'seed': seed}
