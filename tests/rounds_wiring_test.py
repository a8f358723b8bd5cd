"""Laws of stage 1's rounds: what they log, save, resume from and refuse."""

from pathlib import Path
import types

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fedavg_adam
from fedprompt_jax.algorithms import fedavg
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import guard, train
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.experiment.preemption import Preempted
from fedprompt_jax.federated import ledger
from tests import plain, recorders

INITIAL = {'prompt': jnp.zeros((plain.P, 2))}
# Every number of the prompt grows by that of the one client, 1, each round.
RATE = -1.0
SETTINGS = {'rounds': 5, 'validation.every': 2, 'checkpoint.every': 3}


class Run(recorders.Run):
    """A folder that this process writes."""

    writes, path = True, Path('run')

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def metrics(self) -> list[dict]:
        return self.lines

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def of(self, stage: str) -> list[dict]:
        """The lines of a stage, without how long they took."""
        lines = [x for x in self.lines if x['stage'] == stage]
        return [{k: v for k, v in x.items() if k != 'seconds'} for x in lines]


class StageOne:
    """Stage 1 on stand-ins.

    Attributes:
      run: what it logs.
      checkpoints: what it saves.
    """

    def __init__(self, model, store, **changes) -> None:
        config = fedavg_adam.get_config()
        config.update_from_flattened_dict(SETTINGS)
        config.update_from_flattened_dict(
            {key.replace('__', '.'): value for key, value in changes.items()}
        )
        self.store, self.run = store, Run()
        self.checkpoints = recorders.Checkpoints()
        validation = types.SimpleNamespace(local=[np.array([0])])
        held_out = types.SimpleNamespace(clients=np.arange(2))
        self.experiment = types.SimpleNamespace(
            config=config,
            data=types.SimpleNamespace(
                validation=validation, held_out=held_out
            ),
            cohort=self.cohort,
            model=model,
            pooled=False,
            evaluator=recorders.Scorer(store),
            params=INITIAL,
            devices=recorders.Devices(),
        )

    def cohort(self, round: int) -> Cohort:
        """One client, whose example is another one in each round."""
        step = [self.store.example(0, round)]
        return Cohort(np.arange(1), np.ones(1, int), [step])

    def train(self, state=None, stop=0, rate=RATE) -> train.TrainState:
        """Runs the rounds that a restored state leaves.

        Args:
          state: that is restored.
          stop: rounds after which it is asked to stop.
          rate: of the client.
        """
        simulation = recorders.Simulation(self.experiment.model)
        self.experiment.simulation = simulation
        parts = simulation, optax.sgd(rate), optax.sgd(1.0)
        setup = plain.setup(*parts, params=INITIAL)
        self.experiment.algorithm = fedavg.make(setup)
        self.checkpoints.state = state
        left = iter([False] * (stop - 1) + [True] * stop)
        asked = types.SimpleNamespace(asked=lambda: next(left, False))
        clients = Clients(self.experiment, self.run.path)
        return train.train(
            self.experiment, self.run, self.checkpoints, asked, clients
        )


@pytest.fixture
def stage_one(model, store):
    return lambda **changes: StageOne(model, store, **changes)


def number(params) -> float:
    return float(params['prompt'].mean())


def test_a_round_is_logged_under_its_number_with_what_it_cost(stage_one):
    stage = stage_one()
    end = stage.train()
    lines = stage.run.of('train')
    assert [line['round'] for line in lines] == [1, 2, 3, 4, 5]
    for i, line in enumerate(lines):
        steps = stage.cohort(i).steps
        costs = ledger.compute(stage.experiment.model, steps)
        costs |= ledger.traffic(ledger.Sent(INITIAL, INITIAL), 1)
        assert line | costs == line
        norm = line['prompt_norm'] / (2 * plain.P) ** 0.5
        assert norm == pytest.approx(i + 1)
    assert len({line['tokens'] for line in lines}) > 1
    assert number(end.server.params) == int(end.server.round) == 5


def test_the_initial_prompt_is_validated_and_then_every_few_rounds(stage_one):
    stage = stage_one()
    end = stage.train()
    validations = {x['round']: x['rouge_l'] for x in stage.run.of('validation')}
    assert validations == {0: 0, 2: 200, 4: 400}
    assert (int(end.best_round), number(end.best)) == (4, 4)


def test_no_validation_where_none_is_asked(stage_one):
    stage = stage_one(validation__every=0)
    end = stage.train()
    assert not stage.run.of('validation')
    assert train.chosen(end) == (end.server.params, 5)


def test_every_few_rounds_are_saved_and_the_last_one(stage_one):
    stage = stage_one()
    end = stage.train()
    assert stage.checkpoints.steps == [0, 3, 5]
    for step, saved, _ in stage.checkpoints.saved:
        assert int(saved.server.round) == number(saved.server.params) == step
    assert saved is end


def test_a_checkpoint_has_a_score_where_its_prompt_is_the_best(stage_one):
    stage = stage_one(checkpoint__every=1)
    stage.train()
    scores = {step: score for step, _, score in stage.checkpoints.saved if step}
    assert scores == {1: None, 2: 200, 3: None, 4: 400, 5: None}


@pytest.mark.parametrize('stop', [1, 2, 4])
def test_a_stopped_run_saves_its_round_and_resumes_after_it(stage_one, stop):
    whole, first, then = stage_one(), stage_one(), stage_one()
    end = whole.train()
    with pytest.raises(Preempted, match=f'after round {stop}, which is saved'):
        first.train(stop=stop)
    step, state, _ = first.checkpoints.saved[-1]
    assert step == int(state.server.round) == stop
    resumed = then.train(state)
    assert number(resumed.server.params) == number(end.server.params)
    assert int(resumed.best_round) == int(end.best_round)
    for kind in ('train', 'validation'):
        both = first.run.of(kind) + then.run.of(kind)
        assert both == whole.run.of(kind)


def test_a_complete_stage_does_nothing(stage_one):
    stage = stage_one()
    end = stage.train()
    again = stage_one()
    assert again.train(end) is end
    assert not again.run.lines and not again.checkpoints.saved


def test_a_round_that_diverges_is_neither_logged_nor_saved(stage_one):
    stage = stage_one()
    with pytest.raises(FloatingPointError, match='Round 1 would make'):
        stage.train(rate=float('inf'))
    assert not stage.run.of('train')
    assert stage.checkpoints.steps == [0]


@pytest.mark.parametrize(
    ('rounds', 'rate', 'writes', 'warned'),
    [
        (guard.ROUNDS, -1e-9, True, True),
        (guard.ROUNDS + 2, -1e-9, True, True),
        (guard.ROUNDS - 1, -1e-9, True, False),
        (guard.ROUNDS, RATE, True, False),
        (guard.ROUNDS, -1e-9, False, False),  # the first process warns
    ],
)
def test_a_prompt_that_learns_nothing_is_reported_once(
    stage_one, rounds, rate, writes, warned
):
    stage = stage_one(rounds=rounds)
    stage.run.writes = writes
    stage.train(rate=rate)
    assert len(stage.run.warnings) == warned
