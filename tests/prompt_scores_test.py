"""Laws of the rows of a table: whose prompt was scored on which instances."""

import dataclasses
import types

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.evaluation.scoring import Scores
from fedprompt_jax.experiment import scores as scores_lib
from fedprompt_jax.experiment.held_out import HeldOut
from fedprompt_jax.experiment.scores import score_prompts
from tests import recorders

HELD_OUT = HeldOut(
    np.array([3, 8, 9]),  # ids that are no places in the bank
    ['', '', ''],
    [np.array([0])] * 3,
    [np.array([1, 2, 3]), np.array([4]), np.array([5, 6])],
    np.array([1, 4, 5, 14]),
    {'local': 'held_out_client', 'global': 'test_split'},
)
OWNERS = {3: 0, 8: 1, 9: 2}


@pytest.fixture(scope='module')
def scored(store):
    """(rows, predictions) of owner c's prompt, which is full of c."""

    def score(shared):
        bank = {'prompt': jnp.arange(3.0)[:, None, None] + float(shared)}
        labels = {'prompt': 'personalized'}
        scorer = recorders.Scorer(store)
        return score_prompts(scorer, HELD_OUT, bank, shared, 'sequence', labels)

    return score


def test_every_client_is_scored_with_its_own_prompt(scored):
    rows, predictions = scored(shared=False)
    assert len(rows) == 6
    for row in rows:
        assert row['rouge_l'] == 100 * OWNERS[row['client']]
    for line in predictions:
        assert line['rouge_l'] == OWNERS[line['client']]


def test_a_shared_prompt_is_that_of_all_clients(scored):
    rows, predictions = scored(shared=True)
    assert {row['rouge_l'] for row in rows} == {100}
    assert {row['client'] for row in rows} == set(OWNERS)
    assert {line['client'] for line in predictions} == {None}


@pytest.mark.parametrize('shared', [False, True])
def test_local_rows_are_of_the_client_s_instances_and_global_of_the_common(
    scored, shared
):
    """Both axes of the trade-off."""
    rows, _ = scored(shared)
    for row in rows:
        local = HELD_OUT.local[OWNERS[row['client']]]
        own = {'local': local, 'global': HELD_OUT.common}[row['split']]
        assert row['n'] == len(own)
        assert row['loss'] == pytest.approx(np.mean(own))


def test_predictions_are_of_the_client_s_and_of_the_common_instances(
    scored, store
):
    _, predictions = scored(shared=False)
    for client, owner in OWNERS.items():
        ids = [x['id'] for x in predictions if x['client'] == client]
        used = {*HELD_OUT.local[owner], *HELD_OUT.common}
        assert sorted(ids) == sorted(store.record(i)['id'] for i in used)


def test_rows_and_predictions_have_the_client_s_name(store):
    names = ['ward 3', 'ward 8', 'ward 9']
    held_out = dataclasses.replace(HELD_OUT, names=names)
    bank = {'prompt': jnp.arange(3.0)[:, None, None]}
    labels = {'prompt': 'personalized'}
    scorer = recorders.Scorer(store)
    rows, predictions = score_prompts(
        scorer, held_out, bank, False, 'sequence', labels
    )
    for line in rows + predictions:
        assert line['client_name'] == f'ward {line["client"]}'


SCORES = Scores(
    ['a', 'b', 'c'],
    np.array([0.1, 0.9, 0.2]),
    np.array([1.0, 0.0, 0.0]),
    np.array([4.0, 99.0, 3.0]),
    np.array([2, 1, 6]),
    np.array([7, 8, 9]),
    [np.array([0.5, 1.5]), np.zeros(0), np.array([2.5])],
)


def test_a_summary_is_of_the_chosen_requests_x100():
    found = scores_lib.summary(SCORES, np.array([0, 2]), 'token')
    assert found['rouge_l'] == pytest.approx(15)
    assert found['exact_match'] == 50
    assert found['loss'] == 7 / 8  # 7 nats over 8 tokens
    assert found['n'] == 2


def test_a_prediction_says_what_was_answered_and_what_it_is_worth(store):
    evaluator = types.SimpleNamespace(store=store)
    found = scores_lib.prediction(evaluator, SCORES, 2, 13)
    record = store.record(13)
    assert found == {
        'task': 'task2_lakes',
        'type': 'Question Answering',
        'id': record['id'],
        'input': record['input'],
        'prediction': 'c',
        'references': record['outputs'],
        'rouge_l': 0.2,
        'exact_match': 0,
        'loss': 3,
        'target_tokens': 6,
        'output_tokens': 9,
    }
