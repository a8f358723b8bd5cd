"""Personalization of clients whose task types training saw, or did not see.

    python -m fedprompt_jax.study --config=configs/fedavg_adam.py \\
        --study=configs/studies/profit/seen_types.py

splits='clients' partitions all data and holds out a tenth of the clients, so
that training has others of their types. splits='random' holds out a tenth of
the task types, as the paper does. At high heterogeneity a client has about one
task type in both.

More differs than what was seen: the held-out clients and their types are
others, and the training clients, and the validation that chooses the prompt is
of seen types too. The comparison is therefore unpaired, over two seeds, each of
which draws other types and other clients.
"""

from configs.studies.profit import settings
from fedprompt_jax.study import seen_types

KINDS = {'clients': 'seen in training', 'random': 'held out'}
SEEDS = (0, 1)
CAPTION = (
    'FedAvg(Adam), "low computation", high heterogeneity: gain of the '
    'personalized over the global prompt (x 100), for held-out clients whose '
    'task types training saw and for those of held-out types; 95 % bootstrap '
    'intervals over seeds and clients. The two kinds have other clients, and '
    'other task types in training and validation.'
)


def points(config):
    """The overrides of each run."""
    low = settings.low_computation(config)
    for splits in KINDS:
        for seed in SEEDS:
            yield settings.overrides(
                config, 'high', data__splits=splits, seed=seed, **low
            ) | {'data.splits': splits, 'seed': seed}


def tabulate(results):
    """Both kinds of clients, and their difference."""
    return seen_types.table(results, lambda o: KINDS[o['data.splits']])
