"""How layers are scored: FedPepTAO with other scores and the other sign.

    python -m fedprompt_jax.study \\
        --study=configs/studies/fedpeptao/ablation_score.py \\
        --config=configs/fedpeptao/sst2.py --config.data.path=DIR/sst2
"""

from configs.studies.fedpeptao import settings
from fedprompt_jax.study import methods

SCORES = ('cosine', 'naswot', 'l1', 'l2')
SEEDS = (0, 1)
CAPTION = (
    'As the main table, for half of the layers chosen by other scores: the '
    "released code's ('cosine', largest first), its other sign, NASWOT, l1, l2 "
    'and random layers.'
)


def points(config):
    """The overrides of each run."""
    chosen = [(s, o) for s in SCORES for o in ('largest', 'smallest')]
    for score, order in [*chosen, ('random', 'largest')]:
        for seed in SEEDS:
            more = {'fedpeptao__score': score, 'fedpeptao__order': order}
            yield settings.overrides(config, 'FedPepTAO', seed=seed, **more)


def name_of(overrides):
    """Score and order of a run."""
    score = overrides['fedpeptao.score']
    if score == 'random':
        return score
    return f'{score}, {overrides["fedpeptao.order"]} first'


def tabulate(results):
    """A line for each score and order."""
    return methods.table(results, settings.task_of, name_of, {})
