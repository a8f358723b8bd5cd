"""When a user is told that the prompt does not move the loss."""

import math

import pytest

from fedprompt_jax.experiment.guard import prompt_moves
from fedprompt_jax.experiment.run_folder import RunFolder


def rounds(*changes, loss=2.0):
    norms = {'prompt_norm': 1.0, 'update_norm': 0.1, 'client_grad_norm': 0.5}
    return [
        {'stage': 'train', 'predicted_change': c, 'loss': loss, **norms}
        for c in changes
    ]


def test_three_rounds_that_move_nothing_are_told():
    said = prompt_moves(rounds(-1e-4, 0.0, 1e-5))
    assert said and 'does not move the loss' in said
    assert '0.0001 at most' in said


@pytest.mark.parametrize('changes', [(-1, 0, 0), (0, 0, -2.1e-4), (1, 1, 1)])
def test_one_round_that_moves_it_is_enough(changes):
    assert prompt_moves(rounds(*changes)) is None


def test_lines_of_other_stages_do_not_count():
    other = [{'stage': 'validation', 'rouge_l': 1.0}]
    assert prompt_moves([*other, *rounds(0.0, 0.0, 0.0), *other])


def test_a_round_that_is_not_finite_tells_nothing(tmp_path):
    run = RunFolder(tmp_path, {}, {})
    for line in [*rounds(0.0, 0.0), *rounds(0.0, loss=math.inf)]:
        run.log(**line)
    assert prompt_moves(run.metrics()) is None
