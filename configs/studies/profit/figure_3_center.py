"""Profit's figure 3, centre: prompts that were trained, and baselines.

    python -m fedprompt_jax.study \\
        --study=configs/studies/profit/figure_3_center.py \\
        --config=configs/fedavg_adam.py
"""

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories

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
