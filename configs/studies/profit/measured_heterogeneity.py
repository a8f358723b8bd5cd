"""The trade-off against heterogeneity as it is measured, not only chosen.

    python -m fedprompt_jax.study \\
        --study=configs/studies/profit/measured_heterogeneity.py \\
        --config=configs/fedavg_adam.py

FedAvg(Adam) on Profit's three partitions and on Dirichlet mixtures of task
types; two seeds each. The rounds of the three are those of figure 4.
"""

import itertools

from configs.studies.profit import figure_4, settings
from fedprompt_jax.study import heterogeneities

ALPHAS = (0.1, 1.0, 10.0)
SEEDS = figure_4.SEEDS
MEASURES = ('heterogeneity',)
NEAREST = 'medium'  # whose learning rates a Dirichlet mixture has
CAPTION = (
    'What personalization changes (local gain, global change: the score of '
    'the last epoch less that of the global prompt) against six measures of '
    'heterogeneity, FedAvg(Adam), "high computation": vertically 95 % '
    'bootstrap intervals over seeds and clients within them, horizontally the '
    'least and the greatest value of the seeds. The first five are of training '
    'clients, the last is of the evaluated ones, which are cut alike at every '
    'level. At the scale of the paper a Dirichlet mixture has the learning '
    'rates of medium heterogeneity, since the paper has no such partition.'
)


def points(config):
    """The overrides of each run."""
    for level, seed in itertools.product(settings.LEVELS, SEEDS):
        found = figure_4.point(config, level, 'FedAvg(Adam)', seed)
        yield found | {'measures': MEASURES}
    for alpha, seed in itertools.product(ALPHAS, SEEDS):
        yield dirichlet(config, alpha, seed)


def dirichlet(config, alpha, seed):
    """The overrides of a run with clients that Dirichlet mixtures made."""
    found = figure_4.point(config, NEAREST, 'FedAvg(Adam)', seed)
    if config.scale.startswith('paper'):
        found['scale'] = 'custom'
    return found | {
        'data.partition': 'dirichlet',
        'data.dirichlet_alpha': alpha,
        'measures': MEASURES,
    }


def name_of(overrides):
    """The name of a level."""
    if overrides['data.partition'] == 'dirichlet':
        return f'Dirichlet, α = {overrides["data.dirichlet_alpha"]:g}'
    return settings.level_of(overrides)


def draw(results):
    """A column of panels for each measure."""
    return heterogeneities.draw(results, name_of)


def tabulate(results):
    """A line a level."""
    return heterogeneities.table(results, name_of)
