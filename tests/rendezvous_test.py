"""Laws of runs that are computed together: each gets what is its own."""

import threading
import time
from typing import Any

import jax
import numpy as np
import optax
import pytest

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.evaluation.scoring import Evaluator, Request
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.prepared import Prepared, share_rows
from fedprompt_jax.study.merged import (
    MergedEvaluator,
    MergedSimulation,
    Participant,
    side_by_side,
    widest,
)
from fedprompt_jax.study.rendezvous import Rendezvous
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
    while not rendezvous._requests:
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
        asked = bool(number)
        result = simulation.gradients_once(bank, [*examples, *more], asked)
        rendezvous.leave(number)
        return result

    (losses, _), (isolated, grads) = in_threads(
        [lambda n=n: gradients(n) for n in range(2)]
    )
    assert np.isfinite(losses).all()
    assert np.isfinite(isolated).tolist() == [True, False, True]
    np.testing.assert_allclose(isolated[::2], losses[::2], rtol=1e-5)
    assert np.isfinite(grads['prompt'][::2]).all()


def test_a_run_of_one_client_survives_another_s(poisonous):
    """Each has a single owner; they share rows, and one of them is lost."""
    model, base = poisonous
    rng = np.random.default_rng(2)
    bank = plain.random_bank(rng, 1)
    examples = plain.random_examples(rng, (2,))
    bad = Example(0, np.array([299], np.int32), np.array([7], np.int32))
    rendezvous = Rendezvous(2)
    tx = optax.sgd(0.1)

    def train(number):
        simulation = MergedSimulation(
            PackedSimulation(model, base, PACKER, 'sequence', same),
            Participant(rendezvous, number),
        )
        step = [*examples, *([bad] if number else [])]
        found = []
        for alone in (False, True):  # as one_round.compute does
            steps = [simulation.prepare(step, alone)]
            assert share_rows(steps) == (not alone)
            state = jax.vmap(tx.init)(bank)
            found.append(simulation.local_train(tx, bank, state, steps))
        steps = [step]  # it looks for lost owners itself
        found.append(simulation.local_train(tx, bank, state, steps))
        rendezvous.leave(number)
        return found

    sound, lost = in_threads([lambda n=n: train(n) for n in range(2)])
    # Whatever a lost owner may have poisoned is NaN, as the round must see.
    assert np.isnan(sound[0].losses).all() and np.isnan(lost[0].losses).all()
    assert np.isnan(sound[0].bank['prompt']).all()
    for result in sound[1:]:
        assert np.isfinite(result.bank['prompt']).all()
        assert np.isfinite(result.losses).all()
    for result in lost[1:]:
        assert np.isnan(result.bank['prompt']).any()


def test_if_an_owner_is_lost_nothing_of_the_cohort_is_left():
    """An algorithm that looks at one part of the result has to see it."""
    bank = {'prompt': np.ones((2, 3), np.float32)}
    end = {'prompt': np.array([[1, 2, np.nan], [1, 1, 1]], np.float32)}
    losses = np.ones((4, 2), np.float32)
    result = LocalResult(end, (), losses, losses, bank)
    for alone, left in ((True, True), (False, False)):
        found = result.checked(bank, [Prepared((), alone)])
        for x in (found.losses, found.grad_norms, found.first_grads['prompt']):
            assert np.isfinite(x).all() == left
        assert np.isfinite(found.bank['prompt'][1]).all() == left
    assert np.isfinite(result.checked(end, [Prepared((), False)]).losses).all()


def test_a_single_owner_shares_rows_with_nobody(model, lm):
    """Nor do the owners of a kind of which each has its own rows."""
    rng = np.random.default_rng(3)
    simulation = PackedSimulation(model, lm.base, PACKER, 'sequence', same)
    for counts, shared in (((3,), False), ((0, 2), False), ((1, 1), True)):
        examples = plain.random_examples(rng, counts)
        assert share_rows([simulation.prepare(examples)]) == shared
        assert not share_rows([simulation.prepare(examples, alone=True)])


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


REQUESTS = (  # of two runs: (owner, instance)
    [Request(1, 4), Request(0, 0)],
    [Request(0, 3), Request(2, 8), Request(1, 4)],
)


class Written:
    """A generator that writes the size of the prompt and the query's."""

    def __init__(self, model, base):
        self.model, self.base, self.place_rows = model, base, same
        self.row_multiple = 1

    def __call__(self, bank, queries, progress=''):
        (leaf,) = jax.tree.leaves(bank)
        sizes = [int(np.abs(prompt).sum()) for prompt in np.asarray(leaf)]
        return [np.array([5 + sizes[q.owner], len(q.tokens)]) for q in queries]


@pytest.fixture(scope='module')
def evaluators(model, lm, store):
    """Of two runs, whose rows are just as long as their requests ask for."""
    generator: Any = Written(model, lm.base)
    found = []
    for requests in REQUESTS:
        examples = [store.example(*r[:2]) for r in requests]
        length = plain.P + max(e.num_tokens for e in examples)
        targets = max(len(e.target) for e in examples)
        packer = Packer(plain.P, (Shape(length, targets, (2,)),))
        found.append(Evaluator(store, lm.tokenizer, packer, generator))
    return found


def scored_together(evaluators, calls):
    """What calls(number, evaluator) score, both at the same time."""
    rendezvous = Rendezvous(len(evaluators))

    def together(number):
        member = Participant(rendezvous, number)
        found = calls(number, MergedEvaluator(evaluators[number], member))
        rendezvous.leave(number)
        return found

    return in_threads([lambda n=n: together(n) for n in range(2)])


def assert_same_scores(found, alone):
    assert found.predictions == alone.predictions
    np.testing.assert_allclose(found.loss, alone.loss, rtol=1e-5)
    for field in ('rouge_l', 'exact_match', 'target_tokens', 'output_tokens'):
        np.testing.assert_array_equal(
            getattr(found, field), getattr(alone, field)
        )


def test_scoring_together_is_scoring_alone(evaluators):
    """Each run gets the scores of its own prompts on its own instances."""
    rng = np.random.default_rng(1)
    banks = [plain.random_bank(rng, owners) for owners in (2, 3)]
    lengths = [e.packer.shapes[0].length for e in evaluators]
    assert lengths[0] < lengths[1]

    def calls(number, evaluator):
        return evaluator.score(banks[number], REQUESTS[number])

    ends = scored_together(evaluators, calls)
    for number, evaluator in enumerate(evaluators):
        assert_same_scores(ends[number], calls(number, evaluator))


def test_losses_together_are_losses_alone(evaluators, store):
    """Of each run's own prompts, and of longer examples than it scores."""
    rng = np.random.default_rng(1)
    banks = [plain.random_bank(rng, owners) for owners in (2, 3)]
    more = np.arange(5, 45, dtype=np.int32)
    examples = [
        [store.example(1, 4), store.example(0, 2, target=more)],
        [store.example(2, 7)],
    ]

    def calls(number, evaluator):
        return evaluator.token_losses(banks[number], examples[number])

    ends = scored_together(evaluators, calls)
    for number, evaluator in enumerate(evaluators):
        alone = calls(number, evaluator)
        for found, expected in zip(ends[number], alone, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_bare_models_are_scored_apart(evaluators):
    """One run is at the bare model while another scores its prompts."""
    bank = plain.random_bank(np.random.default_rng(1), 3)

    def calls(number, evaluator):
        if number == 0:
            evaluator, nothing = evaluator.bare()
            return evaluator.score(nothing, [Request(0, 4)])
        return evaluator.score(bank, REQUESTS[1])

    ends = scored_together(evaluators, calls)
    for number, evaluator in enumerate(evaluators):
        assert_same_scores(ends[number], calls(number, evaluator))
