"""Laws of held-out clients: their examples are cut in two, once for all."""

import numpy as np
import pytest

from fedprompt_jax.experiment.held_out import Wanted, held_out_clients

POPULATION = [np.arange(100 * i, 100 * i + 49) for i in range(8)]


def held_out(population, seed, *numbers):
    wanted = Wanted('test', *numbers, seed)
    return held_out_clients({'test': population}, wanted)


def test_training_and_scored_examples_are_disjoint_and_the_client_s_own():
    cut = held_out(POPULATION, 0, 5, 20, 10, 12)
    assert len(set(cut.clients)) == 5
    for client, train, local in zip(
        cut.clients, cut.train, cut.local, strict=True
    ):
        assert (len(train), len(local)) == (20, 10)
        assert len({*train, *local}) == 30
        assert {*train, *local} <= set(POPULATION[client])


@pytest.mark.parametrize('num_local', range(1, 49))
def test_a_client_that_has_just_enough_gives_just_that(num_local):
    cut = held_out(POPULATION, 0, 2, 49 - num_local, num_local, 2)
    assert [len(own) for own in cut.local] == [num_local] * 2
    assert [len(own) for own in cut.train] == [49 - num_local] * 2


def test_a_smaller_client_is_cut_in_the_same_proportion():
    cut = held_out([np.arange(9)], 0, 1, 20, 10, 1)
    assert (len(cut.local[0]), len(cut.train[0])) == (3, 6)
    alone = held_out([np.arange(1)], 0, 1, 20, 10, 1)
    assert (len(alone.local[0]), len(alone.train[0])) == (1, 0)


def test_the_common_examples_come_evenly_from_all_clients():
    cut = held_out(POPULATION, 0, 5, 20, 10, 12)
    assert len(cut.common) == len(set(cut.common)) == 12
    given = [np.isin(cut.common, own).sum() for own in cut.local]
    assert given == [3, 3, 2, 2, 2]


def test_a_seed_decides():
    def drawn(seed):
        cut = held_out(POPULATION, seed, 5, 20, 10, 12)
        return np.concatenate([*cut.train, *cut.local, cut.common]).tolist()

    assert drawn(0) == drawn(0) != drawn(1)


def test_a_seed_decides_who_is_drawn_and_what_is_scored():
    few, all_ = (
        [held_out(POPULATION, seed, n, 20, 10, n) for seed in range(6)]
        for n in (3, 8)
    )
    assert len({tuple(cut.clients) for cut in few}) > 1
    for parts in ('train', 'local'):
        orders = {tuple(getattr(cut, parts)[0]) for cut in all_}
        assert len(orders) == 6


def test_a_client_keeps_its_cut_whoever_else_is_drawn():
    few, all_ = (held_out(POPULATION, 0, n, 20, 10, n) for n in (3, 8))
    for i, client in enumerate(few.clients):
        same = int(np.flatnonzero(all_.clients == client)[0])
        np.testing.assert_array_equal(few.train[i], all_.train[same])
        np.testing.assert_array_equal(few.local[i], all_.local[same])
