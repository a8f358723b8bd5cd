"""Skew of labels and number of devices: FedPepTAO and plain averaging.

    python -m fedprompt_jax.study \\
        --study=configs/studies/fedpeptao/heterogeneity.py \\
        --config=configs/fedpeptao/sst2.py --config.data.path=DIR/sst2

The paper has one of each (alpha 1, 100 devices) and leaves the rest open.
"""

from configs.studies.fedpeptao import settings
from fedprompt_jax.study import methods

ALPHAS = (0.1, 0.3, 1.0, 10.0)
DEVICES = (20, 50, 200)  # besides the config's, at its alpha
NAMES = ('FedPepTAO', 'P-tuning v2 (FedAvg)')
SEEDS = (0, 1)
CAPTION = (
    "As the main table, for other concentrations alpha of the devices' label "
    'priors (small: one label a device), and for other numbers of devices.'
)


def points(config):
    """The overrides of each run."""
    for seed in SEEDS:
        for name in NAMES:
            for alpha in ALPHAS:
                yield settings.overrides(
                    config, name, seed=seed, data__dirichlet_alpha=alpha
                )
            for devices in DEVICES:
                yield settings.overrides(
                    config,
                    name,
                    seed=seed,
                    data__num_clients=devices,
                    validation__clients=min(devices, config.validation.clients),
                )


def name_of(overrides):
    """Method and heterogeneity of a run."""
    name = settings.method_of(overrides)
    if 'data.num_clients' in overrides:
        return f'{name}, {overrides["data.num_clients"]} devices'
    return f'{name}, alpha {overrides["data.dirichlet_alpha"]:g}'


def tabulate(results):
    """A line for each method and heterogeneity."""
    return methods.table(results, settings.task_of, name_of, {})
