"""Whole runs of FedSP on a tiny table: stages, stores, kills, resumes."""

import json
import types
from unittest import mock

import jax
import numpy as np
import pytest

from configs.fedsp import settings
from fedprompt_jax.experiment import build, train
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.clients import Clients, _OneByOne
from fedprompt_jax.federated.auxiliary import turn
from fedprompt_jax.federated.client_store import ClientStore
from fedprompt_jax.report import page
from fedprompt_jax.report.figures import distill
from fedprompt_jax.report.run import Run
from tests import tiny_sources
from tests.exhaustive import beyond
from tests.tiny_run import Runs, StopAfter, results

LAYERS, LENGTH = 2, 2
SMALL = {
    'rounds': 2,
    'clients_per_round': 3,
    'local_steps': 1,
    'batch_size': 2,
    'validation__every': 1,
    'validation__by': 'loss',
    'validation__clients': 2,
    'validation__examples': 2,
    'data__num_clients': 3,
    'data__server_share': 0.25,
    'data__max_query': 40,
    'prefix__length': LENGTH,
    'fedsp__distill_steps': 4,
    'fedsp__distill_batch_size': 2,
    'fedsp__compare_examples': 5,
    'personalization__epochs': 0,
    'personalization__clients': 2,
    'personalization__eval_examples': 2,
    'personalization__global_examples': 1000,
}


def rows(count: int, start: int) -> list[dict]:
    return [
        {
            'question': f'what is the name of river {i}',
            'support': 'the river',
            'distractor1': 'passage',
            'distractor2': 'review',
            'distractor3': 'question',
            'correct_answer': f'river {i}',
        }
        for i in range(start, start + count)
    ]


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    shipped = settings.config('sciq', 'quickstart')
    base = types.SimpleNamespace(get_config=lambda: shipped)
    runs = Runs(tmp_path_factory.mktemp('runs'), base)
    folder = runs.folder / 'sciq'
    folder.mkdir()
    for name, count, start in (
        ('train', 16, 0), ('validation', 6, 100), ('test', 8, 200),
    ):  # fmt: skip
        tiny_sources.write_lines(folder / f'{name}.jsonl', rows(count, start))
    again = settings.config('sciq', 'quickstart')
    runs.base.data.update(again.data)
    runs.base.data.path = str(folder)
    return runs


@pytest.fixture(scope='module')
def whole(runs):
    path = runs.folder / 'whole'
    runs.start(path, **SMALL)
    return path


def lines(path, stage: str) -> list[dict]:
    text = (path / 'metrics.jsonl').read_text()
    found = map(json.loads, text.splitlines())
    return [line for line in found if line['stage'] == stage]


def bytes_of(entries: list[dict]) -> int:
    return sum(entry['bytes'] for entry in entries)


def test_the_model_is_distilled_before_the_first_round(whole):
    steps = lines(whole, 'distill')
    assert [line['step'] for line in steps] == [1, 2, 3, 4]
    assert steps[-1]['loss'] < steps[0]['loss']
    text = (whole / 'metrics.jsonl').read_text().splitlines()
    stages = [json.loads(line)['stage'] for line in text]
    assert stages[:5] == ['distill'] * 4 + ['validation']
    record = json.loads((whole / 'distill.json').read_text())
    assert 0 <= record['agreement'] <= 1 and record['kl'] > 0
    assert record['size_ratio'] > 1


def test_distilling_brings_the_model_closer(runs, whole):
    path = runs.folder / 'longer'
    long = {'fedsp__distill_steps': 60, 'rounds': 1}
    runs.start(path, **SMALL | long)
    near, far = (
        json.loads((p / 'distill.json').read_text()) for p in (path, whole)
    )
    assert near['kl'] < far['kl']


def test_messages_list_all_that_travels(whole, runs):
    messages = json.loads((whole / 'messages.json').read_text())
    layers = [
        entry for entry in messages['down_once'] if 'layers/' in entry['name']
    ]
    assert layers and all(entry['shape'][0] == 1 for entry in layers)
    leaf = LENGTH * 2 * 2 * 8 * 4  # P, key and value, K, h, f32
    assert bytes_of(messages['down']) == bytes_of(messages['up'])
    assert bytes_of(messages['up']) == LAYERS * leaf
    first, second = lines(whole, 'train')
    assert first['bytes_up'] == first['bytes_down'] == 3 * LAYERS * leaf
    # All three clients take part in both rounds: the model is sent once.
    assert first['bytes_once'] == 3 * bytes_of(messages['down_once'])
    assert second['bytes_once'] == 0


def test_validation_chooses_by_loss(whole):
    validated = [x for x in lines(whole, 'validation') if x['round']]
    best = min(validated, key=lambda x: x['loss'])
    info = json.loads((whole / 'run.json').read_text())
    assert info['chosen_round'] == best['round']
    assert Run(whole).chosen_validation == best


def test_the_loss_chooses_where_the_score_says_otherwise():
    run = mock.Mock(spec=Run, config={'validation': {'by': 'loss'}})
    run.selection = 'exact_match'
    good, sure = (
        {'exact_match': 90.0, 'loss': 3.0},
        {'exact_match': 10.0, 'loss': 1.0},
    )
    assert Run.preference(run, sure) > Run.preference(run, good)
    run.config = {'validation': {'by': 'score'}}
    assert Run.preference(run, good) > Run.preference(run, sure)


class Killed(Exception):
    """Stands for a signal that nothing can catch."""


def killed_in(call: int):
    """A train() that is killed when it is called for the n-th time."""
    original, calls = turn.train, []

    def train_or_die(*args, **kwargs):
        calls.append(0)
        if len(calls) == call:
            raise Killed
        return original(*args, **kwargs)

    return mock.patch.object(turn, 'train', train_or_die)


# A client's turn is two calls, the server's part one: round 2 has 8 to 14.
@pytest.mark.parametrize('call', beyond([1, 10], [1, 9, 10, 14]))
def test_a_run_killed_in_a_turn_ends_as_if_it_were_not(runs, whole, call):
    path = runs.folder / f'killed {call}'
    with killed_in(call), pytest.raises(Killed):
        runs.start(path, **SMALL)
    runs.start(path, **SMALL)
    assert results(path) == results(whole)
    for name in ('messages.json', 'distill.json'):
        assert (path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize('stop', beyond([3], [3, 5]))
def test_a_run_stopped_between_steps_ends_as_if_it_were_not(runs, whole, stop):
    path = runs.folder / f'stopped {stop}'
    runs.start(path, stop, **SMALL)
    runs.start(path, **SMALL)
    assert results(path) == results(whole)


def test_rows_beyond_the_memory_budget_change_nothing(runs, whole):
    """And one client's row at a time is taken out of the store."""
    path, taken = runs.folder / 'on disk', []
    original = ClientStore.take

    def take(store, clients, default):
        taken.append(len(clients))
        return original(store, clients, default)

    with mock.patch.object(ClientStore, 'take', take):
        runs.start(path, client_store__memory_gb=0.0, **SMALL)
    assert results(path) == results(whole)
    assert set(taken) == {1}


def test_a_row_that_is_not_finite_is_left_out():
    clients = Clients.__new__(Clients)
    store = ClientStore({'x': np.zeros(2, np.float32)}, 1e9)
    clients._store = store
    desk = _OneByOne(clients, None, np.array([4, 9]))
    good, bad = ({'x': np.array([[1, v]], np.float32)} for v in (2, np.inf))
    desk.put(1, good)
    desk.put(1, bad)
    desk.put(0, bad)
    assert 4 not in store
    (kept,) = store.take(np.array([9]), {'x': np.zeros(2, np.float32)})['x']
    assert kept.tolist() == [1, 2]


def test_stage_1_is_taken_over_with_its_messages(runs, whole):
    path = runs.folder / 'taken over'
    config = runs.config(**SMALL | {'personalization__epochs': 1})
    with mock.patch.object(page, 'write'):
        run_lib.execute(
            config, path, runs.folder / 'cache', runs.loaded, StopAfter(0),
            None, [whole],
        )  # fmt: skip
    info = json.loads((path / 'run.json').read_text())
    assert info['stage_1_from'] == 'whole'
    for name in ('messages.json', 'distill.json'):
        assert (path / name).read_bytes() == (whole / name).read_bytes()


ONE = SMALL | {'validation__every': 0, 'rounds': 1}


def test_a_distillation_is_taken_over_by_clients_that_take_other_turns(
    runs, whole
):
    changes = ONE | {'fedsp__turn': 'joint', 'client__learning_rate': 1e-3}
    config = runs.config(**changes)
    path = runs.folder / 'distilled elsewhere'
    with mock.patch.object(page, 'write'):
        run_lib.execute(
            config, path, runs.folder / 'cache', runs.loaded, StopAfter(0),
            None, [whole],
        )  # fmt: skip
    info = json.loads((path / 'run.json').read_text())
    assert info['stage_before_from'] == 'whole'
    runs.start(runs.folder / 'distilled here', **changes)
    assert results(path) == results(runs.folder / 'distilled here')


@pytest.mark.parametrize(
    'changes',
    beyond(
        [{'fedsp__client_model': 'full', 'fedsp__turn': 'prompt'}],
        [
            {'fedsp__turn': 'prompt', 'fedsp__optimizer_state': 'reset'},
            {'fedsp__client_model': 'full', 'fedsp__turn': 'prompt'},
            {
                'fedsp__distill_objective': 'full',
                'fedsp__distill_padding': True,
            },
            {'fedsp__first_prompt': 'own'},
            {'simulation': 'vmap'},
        ],
    ),
)
def test_every_variant_runs(runs, changes):
    path = runs.folder / ', '.join(f'{k}={v}' for k, v in changes.items())
    runs.start(path, **ONE | changes)
    (first,) = lines(path, 'train')
    full = changes.get('fedsp__client_model') == 'full'
    assert (first.get('bytes_once', 0) == 0) is full


@pytest.mark.parametrize(
    'changes',
    beyond(
        [{'fedsp__turn': 'joint'}],
        [
            {'fedsp__turn': 'joint'},
            {'fedsp__client_model': 'cut'},
            {'fedsp__turn': 'prompt', 'prefix__mlp': 4},
        ],
    ),
)
def test_variants_resume(runs, changes):
    name = ', '.join(f'{k}={v}' for k, v in changes.items())
    alone, resumed = runs.folder / name, runs.folder / f'{name} resumed'
    two = ONE | {'rounds': 2} | changes
    runs.start(alone, **two)
    runs.start(resumed, 5, **two)  # four steps of the stage, and a round
    runs.start(resumed, **two)
    assert results(resumed) == results(alone)


def test_the_figure_shows_the_loss_of_every_step(whole):
    figure = distill.draw([Run(whole)])
    (ax,) = figure.axes
    (x, y), *_ = (line.get_data() for line in ax.lines)
    losses = [line['loss'] for line in lines(whole, 'distill')]
    np.testing.assert_allclose(y, losses)
    assert x.tolist() == [1, 2, 3, 4]
    assert distill.draw([]) is None


def test_the_servers_batches_are_passes_over_its_examples(runs):
    config = runs.config(**SMALL)
    _, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    held = len(data.server)
    read = [build.server_batch(config, data, step, held) for step in range(2)]
    texts = [sorted(e.query.tobytes() for e in batch) for batch in read]
    assert texts[0] == texts[1] and len(set(texts[0])) == held
    mine = {
        data.store.example(0, int(i)).query.tobytes()
        for client in range(len(data.population))
        for i in data.population[client]
    }
    assert mine.isdisjoint(texts[0])


def test_a_new_run_of_another_algorithm_lists_its_messages_too(runs):
    path = runs.folder / 'fedavg'
    runs.start(
        path,
        **SMALL
        | {'algorithm': 'fedavg', 'data__server_share': 0.0, 'rounds': 1},
    )
    messages = json.loads((path / train.MESSAGES).read_text())
    assert messages['down_once'] == []
    assert messages['up'] == messages['down'] != []
    assert jax.device_count() == 1
