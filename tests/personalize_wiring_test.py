"""Laws of what stage 2 hands to the simulation and to the scorer."""

import types

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.experiment import personalize
from fedprompt_jax.experiment.data import HeldOut
from tests import plain, recorders

INITIAL = {'prompt': jnp.full((plain.P, 2), 4.0)}
GLOBAL = {'prompt': jnp.full((plain.P, 2), 7.0)}
TRAIN = ([0, 1, 2, 3, 4], [10, 11, 12])  # instances of clients 2 and 5
SETTINGS = {
    'clients': 2,
    'epochs': 1,
    'every': 1,
    'batch_size': 2,
    'optimizer': 'sgd',
    'learning_rate': 0.25,
}


class StageTwo:
    """Stage 2 of two clients, run to its end on stand-ins."""

    def __init__(self, model, store, **changes) -> None:
        config = fedavg_adam.get_config()
        config.batch_size = 4
        config.personalization.update(SETTINGS | changes)
        held_out = HeldOut(
            np.array([2, 5]),
            ['', ''],
            [np.array(own) for own in TRAIN],
            [np.array([5, 6]), np.array([13])],
            np.array([5, 13]),
        )
        self.simulation = recorders.Simulation()
        self.run = recorders.Run()
        experiment = types.SimpleNamespace(
            config=config,
            data=types.SimpleNamespace(store=store, held_out=held_out),
            model=model,
            simulation=self.simulation,
            evaluator=recorders.Scorer(store),
            params=INITIAL,
            devices=recorders.Devices(),
        )
        parts = (
            experiment,
            self.run,
            recorders.NoCheckpoints(),
            recorders.NEVER,
        )
        state = personalize.start(*parts, GLOBAL, 3)
        self.end = personalize.personalize(*parts, state)

    def rouge_l(self, prompt: str, alpha: float) -> list[float]:
        """The local scores of both clients."""
        return [
            row['rouge_l'] / 100
            for row in self.run.rows
            if (row['prompt'], row['alpha'], row['split'])
            == (prompt, alpha, 'local')
        ]


@pytest.fixture(scope='module')
def start(model, store):
    return lambda **changes: StageTwo(model, store, **changes)


def test_every_client_starts_from_the_global_prompt(start):
    """Else stage 1 has no effect on any personalized score."""
    stage = start()
    np.testing.assert_array_equal(
        stage.simulation.banks[0]['prompt'], replicate(GLOBAL, 2)['prompt']
    )
    # Three batches of client 2, two of client 5, with gradients 1 and 2.
    expected = [7 - 0.25 * 3 * 1, 7 - 0.25 * 2 * 2]
    np.testing.assert_allclose(
        stage.end.clients.bank['prompt'][:, 0, 0], expected
    )
    assert stage.rouge_l('personalized', 1.0) == pytest.approx(expected)


def test_a_rate_of_0_gives_the_scores_of_the_global_prompt(start):
    stage = start(learning_rate=0.0)
    personalized = stage.rouge_l('personalized', 1.0)
    assert personalized == stage.rouge_l('global', 0.0) == [7, 7]


def test_l2_pulls_toward_the_global_prompt(start):
    """SGD of rate 1 / lambda rests at global - gradient / lambda."""
    stage = start(l2=8.0, learning_rate=1 / 8)
    np.testing.assert_allclose(
        stage.end.clients.bank['prompt'][:, 0, 0],
        [7 - 1 / 8, 7 - 2 / 8],
        rtol=1e-6,
    )


@pytest.mark.parametrize('optimizer', ['sgd', 'adam'])
def test_the_optimizer_steps_on_the_gradient_of_loss_and_penalty(
    start, optimizer
):
    """The documented objective: loss + (lambda / 2) |P - P_global|^2.

    The state of the optimizer goes on from epoch to epoch.
    """
    stage = start(l2=1.5, optimizer=optimizer, epochs=2)
    tx = getattr(optax, optimizer)(0.25)
    for owner, steps in enumerate([2 * 3, 2 * 2]):
        prompt, state = GLOBAL['prompt'], tx.init(GLOBAL['prompt'])
        for _ in range(steps):
            total = owner + 1 + 1.5 * (prompt - GLOBAL['prompt'])
            updates, state = tx.update(total, state, prompt)
            prompt = optax.apply_updates(prompt, updates)
        np.testing.assert_allclose(
            stage.end.clients.bank['prompt'][owner], prompt, rtol=1e-6
        )


def test_an_epoch_has_the_batch_size_of_personalization(start):
    stage = start()
    (steps,) = stage.simulation.steps
    assert [len(plain.of(0, step)) for step in steps] == [2, 2, 1]
    assert [len(plain.of(1, step)) for step in steps] == [2, 1, 0]
    (line,) = [x for x in stage.run.lines if x['stage'] == 'personalize']
    examples = [e for step in steps for e in step]
    prompts = 3 + 2  # one a client a step
    tokens = sum(e.num_tokens for e in examples) + prompts * plain.P
    assert line['tokens'] == tokens


def test_every_epoch_shuffles_anew_and_sees_all_examples_once(start, store):
    stage = start(epochs=3)
    seen = [
        [tuple(e.query) for step in steps for e in plain.of(0, step)]
        for steps in stage.simulation.steps
    ]
    expected = sorted(tuple(store.query(i)) for i in TRAIN[0])
    assert [sorted(queries) for queries in seen] == [expected] * 3
    assert len({tuple(queries) for queries in seen}) == 3


def test_a_row_of_an_epoch_is_the_score_after_that_many_epochs(start):
    rows = start(epochs=5, every=2).run.rows
    scores = {
        row['epoch']: row['rouge_l'] / 100
        for row in rows
        if (row['prompt'], row['client']) == ('personalized', 2)
    }
    expected = {epoch: 7 - 0.25 * 3 * epoch for epoch in (2, 4, 5)}
    assert scores == pytest.approx(expected)


def test_an_average_of_alpha_is_that_much_of_the_personal_prompt(start):
    """alpha = 0.5 alone would hide a mirrored trade-off curve."""
    stage = start(alphas=(0.25, 0.5))
    personal = np.array(stage.rouge_l('personalized', 1.0))
    for alpha in (0.25, 0.5):
        expected = alpha * personal + (1 - alpha) * 7
        assert stage.rouge_l('averaged', alpha) == pytest.approx(expected)


def test_anchors_are_the_initial_and_the_global_prompt(start):
    """Every gain in a table is a difference to one of these rows."""
    stage = start()
    assert stage.rouge_l('bare', 0.0) == [0, 0]
    assert stage.rouge_l('initial', 0.0) == [4, 4]
    assert stage.rouge_l('global', 0.0) == [7, 7]
    assert stage.end.shared is GLOBAL
    assert int(stage.end.rounds) == 3
