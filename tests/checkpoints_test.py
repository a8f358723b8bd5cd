"""Laws of a stage's checkpoints: what stays, and what comes back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.experiment import checkpoint, integrity
from fedprompt_jax.experiment.checkpoint import Checkpoints


def tree(value: int) -> dict:
    return {'x': jnp.full((2, 3), float(value)), 'round': jnp.int32(value)}


def save_all(folder, keep, scores, metric='rouge_l') -> Checkpoints:
    """Saves steps 0, 1, ... with these scores."""
    made = Checkpoints(folder, keep, metric)
    for step, score in enumerate(scores):
        made.save(step, tree(step), {'step': step}, score)
    return made


@pytest.mark.parametrize(
    ('keep', 'scores', 'left'),
    [
        (3, [None, 5.0, 9.0, 7.0, None, 8.0, None], [2, 4, 5, 6]),
        (2, [None, 5.0, 9.0, 9.5, None], [3, 4]),
        (1, [None, None, None, None], [2, 3]),  # the one before stays
        (2, [-1.0, None, 0.0, None, None, None], [2, 4, 5]),
    ],
)
def test_the_latest_few_stay_and_the_best(keep, scores, left, tmp_path):
    save_all(tmp_path / 'train', keep, scores).close()
    assert [*checkpoint.folders(tmp_path / 'train')] == left[::-1]


@pytest.mark.parametrize('metric', ['rouge_l', 'exact_match'])
def test_the_latest_comes_back_with_its_notes(metric, tmp_path):
    folder = tmp_path / 'train'
    made = save_all(folder, 2, [None, 3.0, 1.0], metric)
    made.close()
    made = Checkpoints(folder, 2, metric)
    assert made.step == 2
    back = made.restore(tree(0))
    made.close()
    jax.tree.map(np.testing.assert_array_equal, back, tree(2))
    for step, path in checkpoint.folders(folder).items():
        assert integrity.fault(path) == ''
        assert checkpoint.read_notes(path) == {'step': step}


def test_before_the_first_there_is_none(tmp_path):
    made = Checkpoints(tmp_path / 'train', 2)
    assert made.step is None
    assert made.restore(tree(0)) is None
    made.close()
    assert checkpoint.folders(tmp_path / 'train') == {}
    assert checkpoint.folders(tmp_path / 'none') == {}


def test_another_tree_is_not_restored(tmp_path):
    """And the run does not start over, as if there were none."""
    made = save_all(tmp_path / 'train', 2, [None])
    with pytest.raises(ValueError, match='cannot be restored') as error:
        made.restore({'x': jnp.zeros((2, 3)), 'other': jnp.int32(0)})
    assert str(tmp_path / 'train' / '0') in str(error.value)
    made.close()


def test_steps_are_numbers_and_not_words(tmp_path):
    for name in ('2', '10', '9', 'damaged', '7.new'):
        (tmp_path / name).mkdir()
    assert [*checkpoint.folders(tmp_path)] == [10, 9, 2]
