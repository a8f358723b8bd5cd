"""Profit's figure 19: figure 5 with frozen rows and the genie.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_19.py \\
        --config=configs/fedavg_adam.py

The runs of a level share stage 1, with one another and with figure 5's.
"""

from configs.studies.profit import figure_5, settings
from fedprompt_jax.report import genie
from fedprompt_jax.study import trajectories, verdicts

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


PLAIN = 'λ = 0'
MARGIN = 1.0  # score x 100: a smaller gain by freezing is none


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
    return trajectories.draw(
        results,
        settings.level_of,
        line_of,
        averaged=lambda o: o.get('personalization.l2') in figure_5.AVERAGED,
        with_genie=lambda o: line_of(o) == PLAIN,
    )


def claims(results):
    """Claim 7, at each level."""
    of = verdicts.groups(
        results, lambda o: (o['data.partition'], line_of(o)), (genie.LABEL,)
    )
    text = 'freezing rows does not help, and the genie is far above all'
    for level, title in settings.LEVELS.items():
        plain = of[level, PLAIN]
        for name in ('freeze-first', 'freeze-last'):
            yield verdicts.Claim(
                '7',
                text,
                f'all rows against {name}, {title}',
                'difference in the mean of local and global score, margin '
                f'{MARGIN:g}',
                verdicts.difference(plain, of[level, name], verdicts.last_mean),
                MARGIN,
            )
        yield verdicts.Claim(
            '7',
            text,
            f'genie against the best average of prompts, {title}',
            'difference in the mean of local and global score',
            verdicts.contrast(
                [
                    verdicts.Term(1.0, plain, verdicts.mean_of(genie.LABEL)),
                    verdicts.Term(-1.0, plain, verdicts.best_averaged),
                ]
            ),
        )
