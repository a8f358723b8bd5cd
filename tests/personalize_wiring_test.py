"""Laws of what stage 2 hands to the simulation and to the scorer."""

import dataclasses
import types

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.experiment import personalize
from fedprompt_jax.experiment.held_out import HeldOut
from fedprompt_jax.experiment.preemption import Preempted
from fedprompt_jax.federated import prepared
from fedprompt_jax.federated.packed import PackedSimulation
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
    """Stage 2 of two clients on stand-ins.

    Attributes:
      end: the state that it ends with.
    """

    def __init__(self, model, store, lm, *, saves=2, seed=0, **changes) -> None:
        config = fedavg_adam.get_config()
        config.batch_size, config.seed = 4, seed
        config.checkpoint.every = saves
        config.personalization.update(SETTINGS | changes)
        held_out = HeldOut(
            np.array([2, 5]),
            ['', ''],
            [np.array(own) for own in TRAIN],
            [np.array([5, 6]), np.array([13])],
            np.array([5, 13]),
            {'local': 'held_out_client', 'global': 'evaluated_clients'},
        )
        self.simulation = recorders.Simulation()
        self.run = recorders.Run()
        self.checkpoints = recorders.Checkpoints()
        self.experiment = types.SimpleNamespace(
            config=config,
            data=types.SimpleNamespace(store=store, held_out=held_out),
            model=model,
            personal=self.simulation,
            evaluator=recorders.Scorer(store),
            few_shot=None,
            params=INITIAL,
            lm=lm,
            devices=recorders.Devices(),
        )

    def execute(self, state=None, stop=0) -> 'StageTwo':
        """Runs it to its end.

        Args:
          state: that is resumed; None to start.
          stop: how often it asks until it is to stop; 0 for never.
        """
        left = iter([False] * (stop - 1) + [True] * stop)
        asked = types.SimpleNamespace(asked=lambda: next(left, False))
        parts = self.experiment, self.run, self.checkpoints, asked
        if state is None:
            state = personalize.start(*parts, GLOBAL, 3)
        self.end = personalize.personalize(*parts, state)
        return self

    def rouge_l(self, prompt: str, alpha: float) -> list[float]:
        """The local scores of both clients."""
        return [
            row['rouge_l'] / 100
            for row in self.run.rows
            if (row['prompt'], row['alpha'], row['split'])
            == (prompt, alpha, 'local')
        ]


@pytest.fixture(scope='module')
def start(model, store, lm):
    return lambda **changes: StageTwo(model, store, lm, **changes).execute()


@pytest.fixture(scope='module')
def stage_two(model, store, lm):
    return lambda **changes: StageTwo(model, store, lm, **changes)


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


def test_a_seed_decides_the_order_of_the_examples(start):
    def order(seed):
        stage = start(seed=seed)
        (steps,) = stage.simulation.steps
        return [tuple(e.query) for step in steps for e in plain.of(0, step)]

    assert order(0) == order(0) != order(1)


def test_rows_say_which_run_they_are_of(start):
    stage = start(seed=4, l2=0.125, epochs=2, alphas=(0.0, 0.25, 1.0))
    kinds = set()
    for row in stage.run.rows:
        assert (row['seed'], row['lambda']) == (4, 0.125)
        assert row['run'] == 'fedavg_adam-quickstart'
        kinds.add((row['prompt'], row['epoch'], row['alpha']))
    assert kinds == {
        ('bare', 0, 0.0),
        ('initial', 0, 0.0),
        ('global', 0, 0.0),
        ('copy', 0, 0.0),
        ('majority', 0, 0.0),
        ('personalized', 1, 1.0),
        ('personalized', 2, 1.0),
        ('averaged', 2, 0.25),  # 0 and 1 are there already
    }
    assert {row['client'] for row in stage.run.rows} == {2, 5}


class AsLogged(recorders.Checkpoints):
    """Remembers the rows that there were at each save."""

    def __init__(self, run) -> None:
        super().__init__()
        self.run, self.rows = run, []

    def save(self, step, tree, notes, score) -> None:
        super().save(step, tree, notes, score)
        self.rows.append([row['prompt'] for row in self.run.rows])


def test_the_checkpoint_before_the_first_epoch_has_the_anchors(stage_two):
    """Else a run that is stopped soon would lose their rows."""
    stage = stage_two()
    stage.checkpoints = AsLogged(stage.run)
    stage.execute()
    assert set(stage.checkpoints.rows[0]) == {
        'bare', 'initial', 'global', 'copy', 'majority',
    }  # fmt: skip


def test_every_few_epochs_are_saved_and_the_last_one(start):
    stage = start(epochs=5)
    assert stage.checkpoints.steps == [0, 2, 4, 5]
    for step, state, _ in stage.checkpoints.saved:
        assert int(state.epoch) == step
        prompt = float(state.clients.bank['prompt'][0, 0, 0])
        assert prompt == pytest.approx(7 - 0.25 * 3 * step)


@pytest.mark.parametrize('stop', [1, 2, 4])
def test_a_stopped_stage_saves_its_epoch_and_resumes_after_it(stage_two, stop):
    settings = {'epochs': 4, 'optimizer': 'adam', 'every': 3}
    whole, first, then = (stage_two(**settings) for _ in range(3))
    whole.execute()
    with pytest.raises(Preempted, match=f'after epoch {stop - 1}, which is'):
        first.execute(stop=stop)
    step, state, _ = first.checkpoints.saved[-1]
    assert step == int(state.epoch) == stop - 1
    then.execute(state)
    np.testing.assert_array_equal(
        then.end.clients.bank['prompt'], whole.end.clients.bank['prompt']
    )
    # As text, in which NaN is NaN.
    assert f'{first.run.rows + then.run.rows}' == f'{whole.run.rows}'
    epochs = [
        [x['epoch'] for x in run.lines if x['stage'] == 'personalize']
        for run in (first.run, then.run, whole.run)
    ]
    assert epochs[0] + epochs[1] == epochs[2] == [1, 2, 3, 4]


class Poisonous(PackedSimulation):
    """Client 1 diverges, and takes along client 0 where they share rows.

    Attributes:
      isolated: whether owners were kept apart, step by step.
    """

    scan_steps = False

    def __init__(self) -> None:
        self.isolated: list[bool] = []

    def prepare(self, examples, alone=False):
        return prepared.Prepared(prepared.plain(examples), alone)

    def gradients_once(self, bank, examples, isolate=False):
        isolate = examples.alone
        self.isolated.append(isolate)
        before = np.isfinite(bank['prompt']).all(axis=(1, 2))
        shared = bool(before[1]) and not isolate
        lost = np.array([shared, True, False])
        grads = recorders.gradients(bank)['prompt']
        losses = jnp.where(lost, jnp.nan, jnp.arange(1.0, 4.0))
        lost = lost.reshape(3, 1, 1)
        return losses, {'prompt': jnp.where(lost, jnp.nan, grads)}


def test_a_client_that_diverges_is_lost_alone(stage_two):
    """Once it is, the others need no second try."""
    stage = stage_two(epochs=2)
    stage.experiment.personal = simulation = Poisonous()
    one = [np.array([14, 15])]
    held_out = stage.experiment.data.held_out
    stage.experiment.data.held_out = dataclasses.replace(
        held_out,
        clients=np.array([2, 5, 6]),
        names=[''] * 3,
        train=[*held_out.train, *one],
        local=[*held_out.local, *one],
    )
    stage.execute()
    # Three steps an epoch; the first epoch is computed twice.
    assert simulation.isolated == [False] * 3 + [True] * 3 + [False] * 3
    finite = np.isfinite(stage.end.clients.bank['prompt']).all(axis=(1, 2))
    assert finite.tolist() == [True, False, True]
    lines = [x for x in stage.run.lines if x['stage'] == 'personalize']
    assert [line['clients_dropped'] for line in lines] == [1, 1]
    # Clients 2 and 6 have three steps and one, of losses 1 and 3.
    assert [line['loss'] for line in lines] == [(3 * 1 + 3) / 4] * 2


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
