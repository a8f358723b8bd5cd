"""Profit's figure 11: a quarter of the examples to personalize with.

    python -m fedprompt_jax.study --study=configs/studies/profit/figure_11.py \\
        --config=configs/fedavg_adam.py

The runs of a level share stage 1.
"""

from configs.studies.profit import settings
from fedprompt_jax.study import trajectories

SHARE = 4  # 64 of 256 examples
MORE_EPOCHS = 2.24  # 224 instead of 100
CAPTION = (
    'FedAvg(Adam), "high computation", with all and with a quarter of the '
    'personalization examples (256 and 64 in the paper, for 100 and 224 '
    'epochs; Profit, figure 11). The rate for 64 examples is that for 256, '
    'since the paper does not name it.'
)


def points(config):
    """The overrides of each run."""
    p = config.personalization
    few = max(1, p.train_examples // SHARE)
    for level in settings.LEVELS:
        yield settings.overrides(config, level) | {
            'personalization.train_examples': p.train_examples
        }
        yield settings.overrides(
            config,
            level,
            personalization__train_examples=few,
            personalization__batch_size=min(p.batch_size, few),
            personalization__epochs=round(MORE_EPOCHS * p.epochs),
        )


def draw(results):
    """A panel for each level, a line for each number of examples."""
    return trajectories.draw(
        results,
        settings.level_of,
        lambda o: f'{o["personalization.train_examples"]} examples',
    )
