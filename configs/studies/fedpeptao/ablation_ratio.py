"""How many layers travel: 25, 50, 75, 100 %, and the estimated share.

    python -m fedprompt_jax.study \\
        --study=configs/studies/fedpeptao/ablation_ratio.py \\
        --config=configs/fedpeptao/sst2.py --config.data.path=DIR/sst2
"""

from configs.studies.fedpeptao import settings
from fedprompt_jax.study import methods

RATIOS = (0.25, 0.5, 0.75, 1.0)
SEEDS = (0, 1)
CAPTION = (
    'As the main table, for other shares of the layers that travel, and for '
    'the share that is estimated from curvatures; the rounds before that, in '
    'which all layers travel, are not among its kB and MB.'
)


def points(config):
    """The overrides of each run."""
    for seed in SEEDS:
        for ratio in RATIOS:
            yield settings.overrides(
                config, 'FedPepTAO', seed=seed, fedpeptao__ratio=ratio
            )
        yield settings.overrides(
            config, 'FedPepTAO', seed=seed, fedpeptao__estimate_ratio=True
        )


def name_of(overrides):
    """The share of a run's layers."""
    if 'fedpeptao.estimate_ratio' in overrides:
        return 'estimated'
    return f'{overrides["fedpeptao.ratio"]:.0%} of the layers'


def tabulate(results):
    """A line for each share."""
    return methods.table(results, settings.task_of, name_of, {})
