"""Profit's figure 19: figure 5 with frozen rows and the genie.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_19.py \\
        --config=configs/fedavg_adam.py

The runs of a level share stage 1, with one another and with figure 5's.
"""

from configs.studies.profit import figure_5, settings
from fedprompt_jax.study import trajectories

CAPTION = (
    'FedAvg(Adam), "low computation": the ℓ2 penalty, averaging, training the '
    'last two rows alone (freeze-first) or the first two (freeze-last), and '
    'the genie, which takes by example the better of the global and the '
    'personalized answer (Profit, figure 19).'
)
NAMES = {
    'all': 'all rows',
    'last(count=2)': 'freeze-first',
    'first(count=2)': 'freeze-last',
}


def points(config):
    """The overrides of each run."""
    low = settings.low_computation(config)
    low['personalization__alphas'] = figure_5.ALPHAS
    for level in settings.LEVELS:
        for strength in figure_5.STRENGTHS:
            yield settings.overrides(
                config, level, personalization__l2=strength, **low
            ) | {'personalization.l2': strength}
        for rows in NAMES:
            if rows != 'all':
                yield settings.overrides(
                    config, level, personalization__rows=rows, **low
                )


def line_of(overrides) -> str:
    """The name of a run's line."""
    if rows := overrides.get('personalization.rows'):
        return NAMES[rows]
    return f'λ = {overrides["personalization.l2"]:g}'


def draw(results):
    """A panel for each level, a line for each remedy."""
    plain = 'λ = 0'
    return trajectories.draw(
        results,
        settings.level_of,
        line_of,
        averaged=lambda o: o.get('personalization.l2') in figure_5.AVERAGED,
        with_genie=lambda o: line_of(o) == plain,
    )
