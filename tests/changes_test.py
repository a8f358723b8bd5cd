"""From where a run is computed again, by the keys that changed."""

import pytest

from fedprompt_jax.experiment import continuing
from fedprompt_jax.experiment.continuing import Start

ROUNDS = {'rounds': (4, 6)}
EPOCHS = {'personalization.epochs': (3, 2)}
ALPHAS = {'personalization.alphas': ([0.5], [0.25])}
CHOICES = {'evaluation.choices': ('sum', 'character')}
EVERY = {'personalization.every': (2, 1)}


@pytest.mark.parametrize(
    ('changes', 'start', 'restarts'),
    [
        ({}, Start.AVERAGES, False),
        (ALPHAS, Start.AVERAGES, False),
        (EPOCHS, Start.EPOCH, False),
        (EPOCHS | ALPHAS, Start.EPOCH, False),
        (CHOICES, Start.STAGE_2, True),
        (EVERY, Start.STAGE_2, True),
        (EPOCHS | CHOICES | ALPHAS, Start.STAGE_2, True),
        (ROUNDS, Start.ROUND, True),
        (ALPHAS | ROUNDS | CHOICES, Start.ROUND, True),
    ],
)
def test_the_earliest_start_that_a_change_needs_counts(
    changes, start, restarts
):
    assert continuing.start(changes) == start
    assert continuing.restarts_stage_2(changes) == restarts


@pytest.mark.parametrize(
    ('changes', 'rounds', 'epochs', 'refused'),
    [
        (ROUNDS, 6, 0, []),
        (ROUNDS, 7, 0, ['rounds']),
        (EPOCHS, 4, 2, []),
        (EPOCHS, 4, 3, ['personalization.epochs']),
        # Stage 2 starts again: its epochs are none that are done.
        (EPOCHS | ROUNDS, 4, 3, []),
        (EPOCHS | CHOICES, 4, 3, []),
        (EPOCHS | ALPHAS, 9, 3, ['personalization.epochs']),
    ],
)
def test_less_than_is_done_is_refused(changes, rounds, epochs, refused):
    lines = continuing.faults(changes, constant(), rounds, epochs)
    assert [line.split('=')[0] for line in lines] == [
        f'config.{key}' for key in refused
    ]


def constant(**schedules) -> dict:
    """A config whose learning rates are constant, but for these sides."""
    sides = {'client': 'constant', 'server': 'constant'} | schedules
    return {side: {'schedule': text} for side, text in sides.items()}


@pytest.mark.parametrize('side', ['client', 'server'])
def test_a_schedule_over_all_rounds_keeps_their_number(side):
    config = constant(**{side: 'linear(end=0.1)'})
    (line,) = continuing.faults(ROUNDS, config, 4, 0)
    assert line.startswith(f"config.{side}.schedule='linear(end=0.1)' depends")
    assert not continuing.faults(ROUNDS, config, 0, 0)  # none is done
    assert not continuing.faults(EPOCHS, config, 4, 0)
    forever = constant(**{side: 'exponential'})
    assert not continuing.faults(ROUNDS, forever, 4, 0)


def test_validations_under_other_settings_are_reported():
    message = continuing.validated_before(CHOICES | EPOCHS, 5)
    assert 'rounds up to 5' in message
    assert "config.evaluation.choices='sum' (now 'character')" in message
    assert 'epochs' not in message
    assert continuing.validated_before(CHOICES, 0) == ''
    assert continuing.validated_before(EPOCHS | ROUNDS, 5) == ''
