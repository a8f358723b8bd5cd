"""Profit's figure 3, left: learning rates of personalization.

    python -m fedprompt_jax.study \\
        --study=configs/studies/profit/figure_3_left.py \\
        --config=configs/fedavg_adam.py

FedAvg(Adam) at high heterogeneity. The runs share stage 1.
"""

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories, verdicts

ALGORITHM = 'FedAvg(Adam)'
SHORT = 5  # the two largest rates have a fifth of the epochs
CAPTION = (
    'Trajectories of personalization at five learning rates (Profit, figure 3 '
    'left): high heterogeneity, a fifth of the epochs for the two largest '
    'rates. The paper names 0.01 and 0.316 here; 0.001, 0.0316 and 0.1 are '
    'those of its appendix C.'
)


def points(config, algorithm=ALGORITHM):
    """The overrides of each run."""
    epochs, every = (config.personalization[k] for k in ('epochs', 'every'))
    for rate in settings.RATES:
        short = rate in settings.RATES[-2:]
        yield settings.overrides(
            config,
            'high',
            algorithm,
            personalization__learning_rate=rate,
            personalization__epochs=max(1, epochs // SHORT)
            if short
            else epochs,
            personalization__every=1 if short else every,
        ) | {'personalization.learning_rate': rate}


def draw(results):
    """A line for each rate."""
    return trajectories.draw(
        results,
        settings.level_of,
        lambda o: f'rate {o["personalization.learning_rate"]:.3g}',
        anchors=trajectories.ANCHORS,
    )


def claims(results):
    """Claim 1, by the rates that the paper's text compares: 0.01 and 0.316.

    As in the paper the smaller rate has more epochs, of which more are scored:
    what is compared is where both end.
    """
    small, large = settings.RATES[1], settings.RATES[-1]
    of_rate = verdicts.groups(
        results, lambda o: o['personalization.learning_rate']
    )
    yield verdicts.Claim(
        '1',
        'a smaller learning rate gives a better trade-off',
        f'rate {small:.3g} against {large:.3g}, each after its last epoch, '
        'high heterogeneity',
        'difference in the mean of local and global score',
        verdicts.difference(of_rate[small], of_rate[large], verdicts.last_mean),
    )
