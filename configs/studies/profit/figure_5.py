"""Profit's figure 5: the l2 penalty and model averaging, each and both.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_5.py \\
        --config=configs/fedavg_adam.py

The runs of a level share stage 1.
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories, verdicts

# The paper names 1e-3 alone; the others are ours.
STRENGTHS = (0.0, 1e-4, 1e-3, 1e-2)
AVERAGED = (0.0, 1e-3)  # lambda of the prompts that are averaged
ALPHAS = tuple(i / 10 for i in range(1, 10))  # 0 and 1 are always scored
CAPTION = (
    'FedAvg(Adam), "low computation": clients pulled toward the global prompt '
    'by (λ/2)‖P_i − P‖², and their last prompts averaged with it at eleven α '
    '(Profit, figure 5). λ = 0.001 is of the paper, which does not name the '
    'others.'
)


def points(config):
    """The overrides of each run."""
    low = settings.low_computation(config)
    for level, strength in itertools.product(settings.LEVELS, STRENGTHS):
        yield settings.overrides(
            config,
            level,
            personalization__l2=strength,
            personalization__alphas=ALPHAS,
            **low,
        ) | {'personalization.l2': strength}


def draw(results):
    """A panel for each level: lines by lambda, and averages of some."""
    return trajectories.draw(
        results,
        settings.level_of,
        lambda o: f'λ = {o["personalization.l2"]:g}',
        averaged=lambda o: o['personalization.l2'] in AVERAGED,
    )


def claims(results):
    """Claim 4, at each level: the penalty of the paper, and averaging."""
    of = verdicts.groups(
        results, lambda o: (o['data.partition'], o['personalization.l2'])
    )
    text = 'the penalty and averaging help at low computation'
    plain, penalty = AVERAGED
    for level, title in settings.LEVELS.items():
        yield verdicts.larger(
            '4',
            text,
            f'λ = {penalty:g} against no penalty, {title}',
            of[level, penalty],
            of[level, plain],
        )
        yield verdicts.Claim(
            '4',
            text,
            f'averages of the last prompt against as many epochs, {title}',
            'difference in hypervolume',
            verdicts.contrast(
                [
                    verdicts.Term(
                        1.0, of[level, plain], verdicts.hypervolume_of_averages
                    ),
                    verdicts.Term(-1.0, of[level, plain], verdicts.hypervolume),
                ]
            ),
        )
