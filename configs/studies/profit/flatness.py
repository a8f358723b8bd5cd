"""Profit's observation 3a: is the loss flat beside the scale of the prompt?

    python -m fedprompt_jax.study --study=configs/studies/profit/flatness.py \\
        --config=configs/fedavg_adam.py

FedAvg(Adam) and FedAvg(SGD), and prompts of 5, 10 and 20 tokens, at high
heterogeneity. The rounds are those of figures 4 and 14, and are taken over from
their runs where these are in the same folder; stage 2 is computed again.
"""

from configs.studies.profit import figure_4, settings
from fedprompt_jax.study import flatness

ALGORITHMS = ('FedAvg(Adam)', 'FedAvg(SGD)')
LENGTHS = (5, 20)  # besides the config's
MEASURES = ('landscape',)
CAPTION = (
    'The loss around global prompts P (high heterogeneity, seed 0): what it '
    'rises by along lines through P, whose unit is the norm of P (in the '
    'table: at both ends, their mean); the ends of its spectrum, times the '
    'square of that norm; and the norm of the gradient by that of the prompt '
    'in each round. Profit conjectures that the loss is '
    "flat beside the prompt's scale (observation 3a); the rises and the scaled "
    'eigenvalues are small where that holds. It is beyond the paper, which '
    'shows norms alone.'
)


def points(config):
    """The overrides of each run."""
    for name in ALGORITHMS:
        found = figure_4.point(config, 'high', name, figure_4.SEEDS[0])
        yield found | {'measures': MEASURES}
    for length in LENGTHS:
        found = settings.overrides(config, 'high', prompt__length=length)
        yield found | {'prompt.length': length, 'measures': MEASURES}


def name_of(overrides):
    """The name of a run: its algorithm, or the length of its prompt."""
    name = settings.algorithm_of(overrides)
    length = overrides.get('prompt.length')
    return name if length is None else f'{name}, {length} tokens'


def draw(results):
    """Losses along lines, eigenvalues, and ratios of norms by round."""
    return flatness.draw(results, name_of)


def tabulate(results):
    """A line a run."""
    return flatness.table(results, name_of)
