"""Solved examples before each query, which the bare model reads."""

import dataclasses

import numpy as np
import pytest

from fedprompt_jax.data import few_shot
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.experiment.personalize import FEW_SHOT
from fedprompt_jax.report import records
from tests import main_test
from tests.conftest import make_task
from tests.tiny_run import Runs

TEMPLATE = Template('q {input}', '\n', 64, 16)
DEFINITION = 'Answer the question.'
SOLVED = [
    {'input': 'the sun', 'output': 'red', 'explanation': 'why'},
    {'input': 'a cat', 'output': 'old', 'explanation': 'why'},
]


@pytest.fixture(scope='module')
def tasks():
    return [
        make_task(**{'Positive Examples': SOLVED}),
        make_task('task2_lakes', 7),  # has none
    ]


@pytest.fixture(scope='module')
def store(lm, tasks, tmp_path_factory):
    source = Source('few shot', 'few shot', lambda: tasks)
    folder = tmp_path_factory.mktemp('store')
    return open_store(source, lm.tokenizer, TEMPLATE, folder)


def text_of(lm, tokens) -> str:
    return lm.tokenizer.decode_batch([np.asarray(tokens)])[0]


def text_at(lm, text: str) -> list[int]:
    return lm.tokenizer.encode([[text]], True)[0]


def longer(store, lm, instances, count=2, **changes):
    template = dataclasses.replace(TEMPLATE, **changes)
    found, _ = few_shot.with_examples(
        store, lm.tokenizer, template, np.array(instances), count
    )
    return found


@pytest.mark.parametrize(
    ('count', 'shown'),
    [
        (0, ''),
        (1, 'q the sun\nred\n\n'),
        (2, 'q the sun\nred\n\nq a cat\nold\n\n'),
        (9, 'q the sun\nred\n\nq a cat\nold\n\n'),
    ],
)
def test_a_query_is_definition_examples_and_input(store, lm, count, shown):
    found = longer(store, lm, [3], count, max_query=500)
    asked = store.record(3)['input']
    expected = f'{DEFINITION}\n\n{shown}q {asked}\n'
    np.testing.assert_array_equal(found.query(3), text_at(lm, expected))


def test_targets_are_those_of_the_store_and_others_have_no_query(store, lm):
    found = longer(store, lm, [3, 5], max_query=500)
    assert len(found) == len(store)
    for i in range(len(store)):
        np.testing.assert_array_equal(found.target(i), store.target(i))
        assert (len(found.query(i)) > 0) == (i in (3, 5))


def test_a_task_without_examples_shows_its_definition(store, lm):
    found = longer(store, lm, [3, 14], max_query=500)
    asked = store.record(14)['input']
    np.testing.assert_array_equal(
        found.query(14), text_at(lm, f'{DEFINITION}\n\nq {asked}\n')
    )


def test_examples_without_room_are_left_out_from_the_last_on(store, lm):
    whole, one, none = (
        longer(store, lm, [3], count, max_query=500).query(3)
        for count in (2, 1, 0)
    )
    for most, expected in (
        (len(whole), whole),
        (len(whole) - 1, one),
        (len(one), one),
        (len(one) - 1, none),
    ):
        found = longer(store, lm, [3], max_query=most).query(3)
        np.testing.assert_array_equal(found, expected)
    # Then the input loses its end, but never what stands after it.
    found = longer(store, lm, [3], max_query=len(none) - 2).query(3)
    assert len(found) == len(none) - 2
    assert found[-1] == none[-1]
    np.testing.assert_array_equal(found[:-1], none[: len(none) - 3])


def test_a_template_with_the_definition_has_it_in_each_example(store, lm):
    found = longer(
        store, lm, [3], 1, max_query=500, text='{definition} q {input}'
    )
    asked = store.record(3)['input']
    expected = f'{DEFINITION} q the sun\nred\n\n{DEFINITION} q {asked}\n'
    np.testing.assert_array_equal(found.query(3), text_at(lm, expected))


def test_a_warning_counts_the_examples_that_are_missing(store, lm):
    def told(instances, most):
        template = dataclasses.replace(TEMPLATE, max_query=most)
        _, numbers = few_shot.with_examples(
            store, lm.tokenizer, template, np.array(instances), 2
        )
        return few_shot.describe(numbers, 2)

    assert told([3, 5], 500) == []
    assert told([3, 14], 500)[0].startswith(
        'few-shot: of 2 queries 1 show 2, 1 show 0 instead of 2 solved examples'
    )
    assert '1 show none and lose the end' in told([3], 12)[0]


def test_data_without_examples_are_refused(store, lm):
    with pytest.raises(ValueError, match=r'few_shot=2 asks for solved'):
        longer(store, lm, [14])


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'))


def test_a_run_scores_it_once_for_all_clients(runs):
    path = runs.folder / 'run'
    changes = {'rounds': 0, 'personalization__epochs': 0}
    runs.start(path, evaluation__few_shot=2, **changes)
    rows = [r for r in records.read_tradeoff(path) if r['prompt'] == FEW_SHOT]
    bare = [r for r in records.read_tradeoff(path) if r['prompt'] == 'bare']
    assert len(rows) == len(bare) > 0
    assert {r['epoch'] for r in rows} == {0}
    of_all = {r['loss'] for r in rows if r['split'] == 'global'}
    assert len(of_all) == 1
    assert [r['loss'] for r in rows] != [r['loss'] for r in bare]
    prompts = [m['prompt'] for m in main_test.metrics(path) if 'prompt' in m]
    assert prompts.index(FEW_SHOT) == prompts.index('global') + 1
