"""The next thing is made ahead, one at a time, and in order."""

import threading

import pytest

from fedprompt_jax.experiment.prefetch import prefetched


def test_things_come_in_order_with_one_made_ahead():
    made, second = [], threading.Event()

    def make(n):
        made.append(n)
        if n == 1:
            second.set()
        return 10 * n

    things = prefetched(make, range(5))
    assert next(things) == 0
    assert second.wait(10)  # made while the first is at work
    assert made == [0, 1]
    assert list(things) == [10 * n for n in range(1, 5)]
    assert made == [0, 1, 2, 3, 4]


def test_nothing_of_nothing():
    assert list(prefetched(lambda n: n, [])) == []


def test_a_fault_is_raised_when_its_turn_comes():
    def make(n):
        if n == 2:
            raise ValueError('no')
        return n

    things = prefetched(make, range(4))
    assert [next(things), next(things)] == [0, 1]
    with pytest.raises(ValueError, match='no'):
        next(things)
