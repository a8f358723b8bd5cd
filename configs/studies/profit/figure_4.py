"""Profit's figure 4: three algorithms at three levels of heterogeneity.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_4.py \\
        --config=configs/fedavg_adam.py

Two seeds each. Figures 8, 9 and 18 of the paper are of the same runs.
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories, verdicts

ALGORITHMS = ('FedAvg(Adam)', 'FedAvg(SGD)', 'FedSGD')
SEEDS = (0, 1)
CAPTION = (
    'Global against local score while test clients personalize the prompts of '
    'three algorithms (Profit, figure 4): "high computation", means over the '
    'clients of both seeds with standard errors over these clients. Learning '
    'rates of the paper at its own scale (tables 2 and 3), else those of the '
    'configs.'
)


def points(config):
    """The overrides of each run."""
    for level, name, seed in itertools.product(
        settings.LEVELS, ALGORITHMS, SEEDS
    ):
        yield point(config, level, name, seed)


def point(config, level, name, seed):
    """The overrides of one run; other figures read some of these runs."""
    return settings.overrides(config, level, name, seed=seed) | {'seed': seed}


def draw(results):
    """A panel for each level, a line for each algorithm."""
    return trajectories.draw(
        results,
        settings.level_of,
        settings.algorithm_of,
        anchors=trajectories.ANCHORS,
    )


def claims(results):
    """Claims 3a and 3b, at each level; 3b's two remarks besides."""
    of = verdicts.groups(
        results, lambda o: (o['data.partition'], settings.algorithm_of(o))
    )
    adam, sgd, fedsgd = ALGORITHMS
    better, more = (
        'FedAvg(Adam) is better than FedAvg(SGD)',
        'FedAvg(Adam) is better than FedSGD, most in global score and at low '
        'heterogeneity',
    )
    for level, title in settings.LEVELS.items():
        ours = of[level, adam]
        for number, text, other in (('3a', better, sgd), ('3b', more, fedsgd)):
            yield verdicts.larger(
                number,
                text,
                f'{adam} against {other}, {title}',
                ours,
                of[level, other],
            )
        yield verdicts.Claim(
            '3b',
            more,
            f'{adam} against {fedsgd}, {title}',
            'difference in global score after the last epoch',
            verdicts.difference(ours, of[level, fedsgd], verdicts.last_global),
        )
    yield verdicts.Claim(
        '3b',
        more,
        f'{adam} against {fedsgd}: low against high heterogeneity',
        'difference of differences in hypervolume',
        verdicts.contrast(
            [
                verdicts.Term(
                    sign * weight, of[level, name], verdicts.hypervolume
                )
                for level, sign in (('low', 1), ('high', -1))
                for name, weight in ((adam, 1.0), (fedsgd, -1.0))
            ]
        ),
    )
