"""Which prompt goes to stage 2: the best trained one by validation."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.evaluation.scoring import Scores
from fedprompt_jax.experiment import train
from fedprompt_jax.experiment.scores import (
    leading_metric,
    scored_instances,
    selection,
)
from fedprompt_jax.federated.server import ServerState
from tests import recorders


class Validation:
    """An experiment whose validation scores are given, and nothing else."""

    def __init__(self, scores, by: str = 'score') -> None:
        self.scores = iter(scores)
        instances = [np.array([0, 1]), np.array([2])]
        self.data = types.SimpleNamespace(
            validation=types.SimpleNamespace(local=instances),
            held_out=types.SimpleNamespace(clients=np.arange(2)),
        )
        self.config = types.SimpleNamespace(
            loss='sequence',
            validation=types.SimpleNamespace(every=1, by=by),
        )
        self.evaluator = self

    devices = recorders.Devices()

    def score(self, bank, requests, progress):
        rouge_l, loss = next(self.scores)
        n = len(requests)
        same = (np.full(n, rouge_l), np.zeros(n), np.full(n, loss))
        return Scores([''] * n, *same, np.ones(n, int), np.ones(n, int))


def first_stage() -> train.TrainState:
    return train.TrainState(
        ServerState({'prompt': jnp.zeros((1, 2))}, (), jnp.int32(0)),
        {'prompt': jnp.zeros((1, 2))},
        jnp.float32(-1),
        jnp.float32(jnp.inf),
        jnp.int32(0),
    )


@pytest.mark.parametrize(
    ('scores', 'chosen'),
    [
        # (ROUGE-L, loss) after round 0, 1, 2, ...
        ([(0.9, 1.0), (0.1, 1.0), (0.2, 1.0)], 2),  # never the untrained one
        ([(0.0, 9.0), (0.3, 1.0), (0.2, 0.5)], 1),
        ([(0.0, 9.0), (0.0, 8.0), (0.0, 7.0), (0.0, 7.5)], 2),  # lower loss
        ([(0.0, 9.0), (0.3, 1.0), (0.3, 1.0)], 1),  # the earlier
        ([(0.5, 9.0)], 0),  # without a round there is no other
    ],
)
def test_the_best_trained_prompt_is_chosen(scores, chosen):
    experiment = Validation(scores)
    stage = validated(experiment, len(scores))
    params, rounds = train.chosen(stage)
    assert rounds == chosen
    assert (params['prompt'] == chosen).all()


def test_the_least_loss_may_choose():
    """Whatever the score; of equals the earlier, and never the untrained."""
    scores = [(0.9, 0.1), (0.9, 2.0), (0.1, 1.0), (0.8, 1.0)]
    stage = validated(Validation(scores, 'loss'), len(scores))
    assert train.chosen(stage)[1] == 2


class Choices(Validation):
    """The same, of answers that are chosen: (ROUGE-L, accuracy, loss)."""

    def score(self, bank, requests, progress):
        rouge_l, accuracy, loss = next(self.scores)
        n = len(requests)
        same = [np.full(n, x) for x in (rouge_l, accuracy, loss)]
        losses = [np.zeros(2)] * n
        ones = np.ones(n, int)
        return Scores([''] * n, *same, ones, ones, losses)


@pytest.mark.parametrize(
    ('scores', 'chosen'),
    [
        # Initial prompt, then two rounds.
        ([(1, 1, 0), (0.9, 0.2, 1), (0.1, 0.3, 1)], 2),  # ROUGE-L disagrees
        ([(1, 1, 0), (0.1, 0.3, 2), (0.9, 0.3, 1)], 2),  # the lower loss
        ([(1, 1, 0), (0.1, 0.3, 1), (0.9, 0.3, 2)], 1),
        ([(1, 1, 0), (0.1, 0.3, 1), (0.9, 0.3, 1)], 1),  # the earlier
    ],
)
def test_where_answers_are_chosen_accuracy_decides(scores, chosen):
    lines = []
    run = types.SimpleNamespace(log=lambda **line: lines.append(line))
    experiment, stage = Choices(scores), first_stage()
    for number in range(len(scores)):
        params = {'prompt': jnp.full((1, 2), float(number))}
        server = ServerState(params, (), jnp.int32(number))
        stage = train.validate(experiment, run, stage.replace(server=server))
    assert train.chosen(stage)[1] == chosen
    assert {'rouge_l', 'exact_match', 'exact_match_se'} <= set(lines[0])


def test_the_leading_metric_is_accuracy_where_all_answers_are_chosen():
    assert leading_metric([2, 4]) == 'exact_match'
    assert leading_metric([2, 0]) == leading_metric([]) == 'rouge_l'


def test_only_scored_instances_are_counted():
    def held_out(*local):
        local = [np.array(x, int) for x in local]
        return types.SimpleNamespace(local=local, common=np.array([3, 0]))

    data = types.SimpleNamespace(
        validation=held_out([3, 1], [2]),
        held_out=held_out([5, 3], []),
        store=types.SimpleNamespace(num_choices=np.array([0, 2, 2, 2, 0, 0])),
    )
    assert scored_instances(data, True) == [0, 1, 2, 3, 5]
    assert scored_instances(data, False) == [0, 3, 5]
    assert selection(data) == 'exact_match'


def run_of(**info):
    return types.SimpleNamespace(log=lambda **line: None, info=info)


def after(stage, number: int):
    """The stage after a round, whose prompt is all `number`."""
    params = {'prompt': jnp.full((1, 2), float(number))}
    return stage.replace(server=ServerState(params, (), jnp.int32(number)))


def validated(experiment, count: int):
    """The stage after `count` validations, one a round from round 0."""
    stage = first_stage()
    for number in range(count):
        stage = train.validate(experiment, run_of(), after(stage, number))
    return stage


@pytest.mark.parametrize(
    ('last', 'kept', 'chosen'),
    [
        (0.9, None, 3),
        (0.1, None, 2),
        (0.9, 2, 2),  # as it was chosen under other settings
        (0.1, 3, 3),
    ],
)
def test_the_last_prompt_is_a_candidate_wherever_the_run_ends(
    last, kept, chosen
):
    """It is validated after the last checkpoint, and leaves no trace there."""
    experiment = Validation([(0, 9.0), (0.1, 1.0), (0.5, 1.0), (last, 1.0)])
    stage = after(validated(experiment, 3), 3)
    experiment.config.validation.every = 2
    run = run_of() if kept is None else run_of(kept_choice=kept)
    params, rounds = train.choose(experiment, run, stage)
    assert rounds == chosen
    assert (params['prompt'] == chosen).all()
    assert int(stage.best_round) == 2
