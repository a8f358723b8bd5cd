"""Laws of runs that are computed together: each gets what is its own."""

import threading
import time
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.evaluation.scoring import Request, Scores
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.sweep.merged import (
    MergedEvaluator,
    MergedSimulation,
    Participant,
    side_by_side,
    widest,
)
from fedprompt_jax.sweep.rendezvous import Rendezvous
from tests import plain
from tests.plain import PACKER, same

COUNTS = ((3, 0, 2), (1, 4), (2,))  # examples of the owners of three runs


def in_threads(calls):
    """What each call returns or raises, all of them at the same time."""
    ends = [None] * len(calls)

    def one(i):
        try:
            ends[i] = calls[i]()
        except Exception as error:
            ends[i] = error

    threads = [
        threading.Thread(target=one, args=[i]) for i in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return ends


def test_one_call_answers_all_that_ask_for_the_same():
    rendezvous, calls = Rendezvous(4), []

    def compute(requests):
        calls.append(requests)
        return [10 * r for r in requests]

    def ask(participant):
        key = 'even' if participant % 2 == 0 else 'odd'
        return rendezvous.ask(participant, key, compute, participant)

    ends = in_threads([lambda m=m: ask(m) for m in range(4)])
    assert ends == [0, 10, 20, 30]
    assert sorted(calls) == [[0, 2], [1, 3]]


def test_nobody_waits_for_one_that_left():
    rendezvous = Rendezvous(3)
    rendezvous.leave(0)

    def stays(participant):
        return rendezvous.ask(
            participant, 'sum', lambda r: [sum(r)] * len(r), participant
        )

    ends = in_threads([lambda: stays(1), lambda: stays(2)])
    assert ends == [3, 3]
    rendezvous.leave(1)
    assert stays(2) == 2


def test_one_that_leaves_wakes_those_that_wait():
    rendezvous, answers = Rendezvous(2), []

    def ask():
        answers.append(rendezvous.ask(0, 'sum', lambda r: [sum(r)], 3))

    waits = threading.Thread(target=ask, daemon=True)
    waits.start()
    while not rendezvous._asked:
        time.sleep(0.001)
    rendezvous.leave(1)
    waits.join(timeout=3)
    assert answers == [3]


def test_what_a_call_raises_reaches_all_that_asked_for_it():
    rendezvous = Rendezvous(3)

    def fails(requests):
        raise ValueError('no')

    ends = in_threads(
        [
            lambda: rendezvous.ask(0, 'bad', fails, 0),
            lambda: rendezvous.ask(1, 'good', lambda r: r, 1),
            lambda: rendezvous.ask(2, 'bad', fails, 2),
        ]
    )
    assert isinstance(ends[0], ValueError) and isinstance(ends[2], ValueError)
    assert ends[1] == 1


@pytest.fixture(scope='module')
def runs(model, lm):
    """(simulation, bank, steps) of three runs; one has other row shapes."""
    rng = np.random.default_rng(0)
    longer = PACKER._replace(
        shapes=tuple(
            s._replace(length=s.length + 8, targets=s.targets + 2)
            for s in PACKER.shapes
        )
    )
    packers = PACKER, longer, PACKER
    return [
        (
            PackedSimulation(model, lm.base, packer, 'sequence', same),
            plain.random_bank(rng, len(counts)),
            [plain.random_examples(rng, counts) for _ in range(2)],
        )
        for packer, counts in zip(packers, COUNTS, strict=True)
    ]


def test_training_together_is_training_alone(runs):
    """Each run has an optimizer of its own: other rates, other states."""
    rates = 0.3, 0.1, 0.01
    rendezvous = Rendezvous(len(runs))

    def train(number, simulation):
        _, bank, steps = runs[number]
        tx = optax.adam(rates[number])
        state = jax.vmap(tx.init)(bank)
        return simulation.local_train(tx, bank, state, steps)

    def together(number):
        merged = MergedSimulation(
            runs[number][0], Participant(rendezvous, number)
        )
        found = train(number, merged)
        rendezvous.leave(number)
        return found

    ends = in_threads([lambda n=n: together(n) for n in range(len(runs))])
    for number, (simulation, _, _) in enumerate(runs):
        alone = train(number, simulation)
        np.testing.assert_allclose(
            ends[number].losses, alone.losses, rtol=1e-5, equal_nan=True
        )
        plain.assert_owners_close(
            ends[number].first_grads, alone.first_grads, 1e-5
        )
        plain.assert_owners_close(ends[number].bank, alone.bank, 1e-4)


def test_a_run_that_isolates_is_isolated(poisonous):
    """Also where another run, which does not, asks at the same time."""
    model, base = poisonous
    rng = np.random.default_rng(1)
    bank = plain.random_bank(rng, 3)
    examples = plain.random_examples(rng, (2, 2, 2))
    bad = Example(1, np.array([299], np.int32), np.array([7], np.int32))
    rendezvous = Rendezvous(2)

    def gradients(number):
        simulation = MergedSimulation(
            PackedSimulation(model, base, PACKER, 'sequence', same),
            Participant(rendezvous, number),
        )
        more = [bad] if number else []
        result = simulation.gradients(bank, [*examples, *more])
        rendezvous.leave(number)
        return result

    (losses, _), (isolated, grads) = in_threads(
        [lambda n=n: gradients(n) for n in range(2)]
    )
    assert np.isfinite(losses).all()
    assert np.isfinite(isolated).tolist() == [True, False, True]
    np.testing.assert_allclose(isolated[::2], losses[::2], rtol=1e-5)
    assert np.isfinite(grads['prompt'][::2]).all()


class ByNumber(NamedTuple):
    """An evaluator that answers with the prompt's number and the instance."""

    packer: Packer
    store: Any = None
    calls: Any = None

    def bare(self):
        return self._replace(packer=self.packer), {'nothing': np.zeros((1, 1))}

    def score(self, bank, requests, progress=''):
        (leaf,) = jax.tree.leaves(bank)
        self.calls.append((len(leaf), len(requests)))
        numbers = np.asarray(leaf).reshape(len(leaf), -1)[:, 0]
        values = np.array([numbers[r.owner] for r in requests])
        instances = np.array([r.instance for r in requests])
        texts = [f'{v} {i}' for v, i in zip(values, instances, strict=True)]
        return Scores(
            texts, values, *[instances] * 4, [np.zeros(0)] * len(texts)
        )


def test_scores_together_are_scores_alone():
    """Each run has owners and instances of its own; one is at the bare model.

    Its bank has other leaves, so that it is scored in another call.
    """
    calls: list[tuple[int, int]] = []
    rendezvous, evaluator = Rendezvous(3), ByNumber(PACKER, calls=calls)
    banks = [{'prompt': np.array([[10.0 * n], [10.0 * n + 1]])} for n in (1, 2)]
    asked = [
        [Request(0, 5), Request(1, 6), Request(1, 7)],
        [Request(1, 8), Request(0, 9)],
        [Request(0, 3)],
    ]

    def score(number):
        merged = MergedEvaluator(evaluator, Participant(rendezvous, number))
        if number == 2:
            merged, bank = merged.bare()
        else:
            bank = banks[number]
        scores = merged.score(bank, asked[number])
        rendezvous.leave(number)
        return scores

    ends = in_threads([lambda n=n: score(n) for n in range(3)])
    assert sorted(calls) == [(1, 1), (4, 5)]
    texts = [['10.0 5', '11.0 6', '11.0 7'], ['21.0 8', '20.0 9'], ['0.0 3']]
    assert [end.predictions for end in ends] == texts


def test_banks_stand_side_by_side():
    banks = [{'x': np.full((n, 2), n)} for n in (3, 1, 2)]
    bank, starts = side_by_side(banks)
    assert starts == [0, 3, 4]
    assert bank['x'][:, 0].tolist() == [3, 3, 3, 1, 2, 2]


def test_the_widest_packer_holds_what_each_holds(runs):
    packers = [simulation.packer for simulation, _, _ in runs]
    *_, last = PACKER.shapes
    many_targets = PACKER._replace(
        shapes=(last._replace(targets=last.targets + 5),)
    )
    packers.append(many_targets)  # the longest has fewer
    last = widest(packers).shapes[-1]
    for packer in packers:
        assert last.length >= packer.shapes[-1].length
        assert last.targets >= packer.shapes[-1].targets
