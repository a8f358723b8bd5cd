"""The remedies of Profit's figures 5 and 19, chosen on validation clients.

    python -m fedprompt_jax.study --study=configs/studies/profit/selection.py \\
        --config=configs/fedavg_adam.py

The l2 penalty, averaging, frozen rows, learning rates and epochs: validation
clients choose, and test clients say what the choice is worth. Each setting is
one run of validation and one of test clients. The runs of a level share stage
1, with one another and with figure 19's.
"""

import itertools

from configs.studies.profit import figure_5, figure_19, settings
from fedprompt_jax.study import selection

RATE = 'personalization.learning_rate'
RATES = settings.RATES[:-1]  # the grid of appendix C
PLAIN = 'λ = 0'
FROZEN = tuple(name for rows, name in figure_19.NAMES.items() if rows != 'all')
CAPTION = (
    'FedAvg(Adam), "low computation": the penalty λ, the weight α of '
    'averaging, the rows that are trained, the learning rate and the number of '
    'epochs, chosen on validation clients and scored on test clients (x 100), '
    'with 95 % bootstrap intervals. "Oracle" is the choice of the test clients '
    'themselves; "gap" is how much more of the criterion it has on them, '
    'paired by client. Criteria: local, the highest local score; mean, the '
    'highest mean of local and global; no_loss, the highest local score whose '
    'global is not below the global prompt. It is beyond the paper, which '
    'shows these remedies on test clients alone.'
)


def points(config):
    """The overrides of each run."""
    low = settings.low_computation(config)
    low['personalization__alphas'] = figure_5.ALPHAS
    remedies = [
        *({'personalization__l2': x} for x in figure_5.STRENGTHS),
        *(
            {'personalization__rows': rows}
            for rows in figure_19.NAMES
            if rows != 'all'
        ),
    ]
    for level, remedy, rate, split in itertools.product(
        settings.LEVELS, remedies, RATES, ('validation', 'test')
    ):
        changes = {**low, **remedy, 'personalization__learning_rate': rate}
        found = settings.overrides(
            config, level, personalization__split=split, **changes
        )
        # What the table names is there, whatever the config's own value is.
        named = {k.replace('__', '.'): v for k, v in remedy.items()}
        yield found | named | {RATE: rate, selection.SPLIT: split}


def setting_of(overrides) -> str:
    """The name of a run's remedy and rate: 'λ = 0.001, rate 0.1'."""
    return f'{figure_19.line_of(overrides)}, rate {overrides[RATE]:.3g}'


def _remedy(setting: str) -> str:
    return setting.partition(', rate')[0]


# Family -> which settings and prompts are candidates.
FAMILIES = {
    'rate, epochs': lambda s, p: (
        _remedy(s) == PLAIN and p.label == 'personalized'
    ),
    '+ λ': lambda s, p: _remedy(s) not in FROZEN and p.label == 'personalized',
    '+ α': lambda s, p: _remedy(s) == PLAIN,
    '+ λ, α': lambda s, p: _remedy(s) not in FROZEN,
    'frozen rows': lambda s, p: (
        _remedy(s) in FROZEN and p.label == 'personalized'
    ),
    'all': lambda s, p: True,
}


def tabulate(results):
    """Each level, family of remedies and criterion."""
    return selection.table(
        results,
        ('heterogeneity',),
        lambda o: (o['data.partition'],),
        setting_of,
        FAMILIES,
    )
