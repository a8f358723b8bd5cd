"""Host randomness is a function of seed, purpose and ids."""

import itertools

import numpy as np

from fedprompt_jax.data import randomness


def _draw(*name):
    return randomness.generator(*name).integers(2**62)


def test_the_same_name_gives_the_same_stream():
    assert _draw(3, 'cohort', 7, 1) == _draw(3, 'cohort', 7, 1)
    assert _draw(3, 'cohort', 7) == _draw(np.int32(3), 'cohort', np.int64(7))


def test_another_seed_purpose_or_id_gives_another_stream():
    names = [
        (0, 'cohort'),
        (1, 'cohort'),
        (0, 'shuffle'),
        (0, 'cohort', 0),  # zeros count: a padded seed would not see them
        (0, 'cohort', 0, 0),
        (0, 'cohort', 1),
        (0, 'cohort', 1, 0),
        (0, 'cohort', 0, 1),
        (0, 'cohort', 1, 11),
        (0, 'cohort', 11, 1),
        (0, 'cohort', 2**32),  # not the words of (0, 1)
    ]
    for a, b in itertools.combinations(names, 2):
        assert _draw(*a) != _draw(*b), (a, b)
