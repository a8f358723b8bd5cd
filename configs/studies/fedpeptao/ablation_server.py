"""What the server does: three steps, and how a device's optimizer starts.

    python -m fedprompt_jax.study \\
        --study=configs/studies/fedpeptao/ablation_server.py \\
        --config=configs/fedpeptao/sst2.py --config.data.path=DIR/sst2
"""

from configs.studies.fedpeptao import settings
from fedprompt_jax.study import methods

NAMES = (
    'FedPepTAO',
    'FedPepTAO (released code)',
    'half of the layers (FedAvg)',
)
STATES = ('reset', 'kept')
MOMENTA = (0.0, 0.5)  # besides the config's
SEEDS = (0, 1)
CAPTION = (
    'As the main table, for three server steps on half of the layers, with '
    'devices whose Adam is reset in each round or kept, and for other betas of '
    "FedPepTAO's momentum."
)


def points(config):
    """The overrides of each run."""
    for seed in SEEDS:
        for name in NAMES:
            for state in STATES:
                yield settings.overrides(
                    config,
                    name,
                    seed=seed,
                    fedpeptao__optimizer_state=state,
                )
        for beta in MOMENTA:
            yield settings.overrides(
                config, 'FedPepTAO', seed=seed, fedpeptao__momentum=beta
            )


def name_of(overrides):
    """Server step, optimizer state and beta of a run."""
    name = settings.method_of(overrides)
    if 'fedpeptao.momentum' in overrides:
        return f'{name}, beta {overrides["fedpeptao.momentum"]:g}'
    return f'{name}, Adam {overrides["fedpeptao.optimizer_state"]}'


def tabulate(results):
    """A line for each setting."""
    return methods.table(results, settings.task_of, name_of, {})
