"""How much of the genie's gap a router closes, at Profit's three levels.

    python -m fedprompt_jax.study --study=configs/studies/profit/router.py \\
        --config=configs/fedavg_adam.py

Clients train as in figure 19 without a penalty. Thresholds are fitted on
validation clients. The runs of a level share stage 1.
"""

from configs.studies.profit import settings
from fedprompt_jax.study import routing

SPLITS = ('validation', 'test')
CAPTION = (
    'FedAvg(Adam), "low computation": each example is answered by the global '
    'or the personalized prompt, whichever is more confident by the query or '
    'by its own answer; test clients, 95 % bootstrap intervals over clients. A '
    'share is that of the distance from the better of the two prompts, or '
    "from the personalized one, to the genie (Profit, figure 19). 'Fitted' "
    'thresholds are chosen on validation clients.'
)


def points(config):
    """The overrides of each run."""
    low = settings.low_computation(config)
    for level in settings.LEVELS:
        for split in SPLITS:
            yield settings.overrides(
                config,
                level,
                personalization__method='router',
                personalization__split=split,
                **low,
            ) | {'personalization.split': split}


def tabulate(results):
    """The prompts, the routers and the genie, at each level."""
    return routing.table(
        results,
        'heterogeneity',
        settings.level_of,
        lambda o: o['personalization.split'] == 'validation',
    )
