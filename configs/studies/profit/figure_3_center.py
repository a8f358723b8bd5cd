"""Profit's figure 3, centre: prompts that were trained, and baselines.

    python -m fedprompt_jax.study \\
        --study=configs/studies/profit/figure_3_center.py \\
        --config=configs/fedavg_adam.py
"""

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories, verdicts

ALGORITHMS = ('FedAvg(Adam)', 'Centralized', 'Random-Gaussian', 'Random-Word')
FEW_SHOT = 2  # SNI's own number of positive examples
CAPTION = (
    'Trajectories of personalization from a prompt of FedAvg(Adam), of '
    'centralized training, and from random ones: N(0, 0.25), and embeddings '
    'of random words (Profit, figure 3 centre, high heterogeneity). Few-shot: '
    "the bare model with the task's definition and two positive examples of "
    'SNI, since the paper does not describe its own.'
)


def points(config):
    """The overrides of each run."""
    for name in ALGORITHMS:
        yield settings.overrides(
            config, 'high', name, evaluation__few_shot=FEW_SHOT
        )


def draw(results):
    """A line for each prompt, and the baselines."""
    return trajectories.draw(
        results,
        settings.level_of,
        settings.algorithm_of,
        anchors=trajectories.ANCHORS,
    )


def claims(results):
    """Claim 2: against other prompts, and against prompts without training."""
    of = verdicts.groups(results, settings.algorithm_of, others=('few-shot',))
    ours = of[ALGORITHMS[0]]
    text = 'FedAvg(Adam) beats centralized training and untrained prompts'
    for name in ALGORITHMS[1:]:
        yield verdicts.larger(
            '2',
            text,
            f'FedAvg(Adam) against {name}',
            ours,
            of[name],
        )
    for label, name in (('bare', 'no prompt'), ('few-shot', 'few-shot')):
        yield verdicts.Claim(
            '2',
            text,
            f'FedAvg(Adam), personalized, against {name}',
            'difference in the mean of local and global score',
            verdicts.contrast(
                [
                    verdicts.Term(1.0, ours, verdicts.last_mean),
                    verdicts.Term(-1.0, ours, verdicts.mean_of(label)),
                ]
            ),
        )
