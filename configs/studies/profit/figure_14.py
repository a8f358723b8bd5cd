"""Profit's figure 14: prompts of 5, 10 and 20 virtual tokens, FedAvg(Adam).

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_14.py \\
        --config=configs/fedavg_adam.py

Figures 15 and 16 are the same for FedSGD and FedSGD-LB.
"""

import itertools

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories, verdicts

LENGTHS = (5, 10, 20)
CAPTION = (
    'Prompts of 5, 10 and 20 virtual tokens, FedAvg(Adam), "high computation" '
    '(Profit, figure 14). All lengths have the rates of '
    'length 10, since the paper names no others.'
)


def points(config, algorithm='FedAvg(Adam)'):
    """The overrides of each run."""
    for level, length in itertools.product(settings.LEVELS, LENGTHS):
        yield settings.overrides(
            config, level, algorithm, prompt__length=length
        ) | {'prompt.length': length}


def draw(results):
    """A panel for each level, a line for each length."""
    return trajectories.draw(
        results,
        settings.level_of,
        lambda o: f'{o["prompt.length"]} tokens',
    )


def claims(results, algorithm='FedAvg(Adam)'):
    """Claim 6: 10 tokens against 5 and 20, means over the levels."""
    of = verdicts.groups(
        results, lambda o: (o['data.partition'], o['prompt.length'])
    )
    for other in (5, 20):
        yield verdicts.Claim(
            '6',
            '10 virtual tokens are best over all',
            f'10 tokens against {other}, {algorithm}',
            'difference in hypervolume, mean over levels',
            verdicts.mean_difference(
                [
                    (of[level, 10], of[level, other])
                    for level in settings.LEVELS
                ],
                verdicts.hypervolume,
            ),
        )
