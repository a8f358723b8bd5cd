"""Whose examples are scored, with which prompt, where no client is held out."""

import jax
import numpy as np
import pytest

from configs import ditto
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.within import cut
from fedprompt_jax.experiment import build
from fedprompt_jax.experiment.personalize import KEPT
from fedprompt_jax.report.records import read_tradeoff
from tests.tiny_run import Runs, info

SHORT = {
    'rounds': 3,
    'clients_per_round': 3,
    'validation__every': 0,
    'personalization__epochs': 1,
    'data__held_out_share': 0.5,
}


def clients(*sizes) -> Clients:
    """Clients of these sizes; instances are numbered from 100."""
    starts = np.cumsum([0, *sizes], dtype=np.int64)
    return Clients(100 + np.arange(sum(sizes)), starts, {})


def rows_of(part: Clients) -> list[list[int]]:
    return [sorted(part[i].tolist()) for i in range(len(part))]


def test_the_parts_of_a_client_are_disjoint_and_complete():
    whole = clients(10, 40, 7, 3, 25)
    parts = cut(whole, 0.3, seed=4)
    for i in range(len(whole)):
        joined = np.concatenate([part[i] for part in parts.values()])
        assert sorted(joined.tolist()) == whole[i].tolist()


@pytest.mark.parametrize(
    ('size', 'share', 'held'),
    [(10, 0.2, 1), (100, 0.2, 10), (10, 0.02, 1), (3, 0.9, 1), (7, 0.9, 3),
     (2, 0.5, 0), (1, 0.5, 0), (30, 0.5, 8)],
)  # fmt: skip
def test_validation_and_test_get_half_of_the_share_each(size, share, held):
    parts = cut(clients(size, 50), share, seed=0)
    assert len(parts['test'][0]) == len(parts['validation'][0]) == held
    assert len(parts['train'][0]) == size - 2 * held


def test_which_examples_are_held_out_is_drawn_by_the_seed():
    whole = clients(*[12] * 30)
    first, again, other = (cut(whole, 0.2, seed) for seed in (0, 0, 1))
    assert rows_of(first['test']) == rows_of(again['test'])
    assert rows_of(first['test']) != rows_of(other['test'])
    places = {int(first['test'][i][0]) - 100 - 12 * i for i in range(30)}
    assert len(places) > 6  # not always the same place of a client


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'), ditto)


def load(runs, **changes):
    config = runs.config(**SHORT | changes)
    return build.load_data(config, runs.folder / 'cache', runs.loaded)[1]


@pytest.mark.parametrize('split', ['test', 'validation'])
def test_nothing_that_is_scored_is_trained_on(split, runs):
    data = load(runs, personalization__split=split)
    trained = {
        i for c in range(len(data.population)) for i in data.population[c]
    }
    scored = np.concatenate([*data.held_out.local, *data.validation.local])
    assert not trained & set(scored.tolist())
    for client, train, local in zip(
        data.held_out.clients, data.held_out.train, data.held_out.local,
        strict=True,
    ):  # fmt: skip
        assert set(train) <= set(data.population[client])
        assert len(local) and len(train)
        # The scored examples are of the very client: of the tasks it has.
        tasks = data.store.task_of
        assert set(tasks[local]) <= set(tasks[data.population[client]])
    tests = load(runs, personalization__split='test').held_out.local
    chosen = load(runs, personalization__split='test').validation.local
    assert not set(np.concatenate(tests)) & set(np.concatenate(chosen))


def test_a_training_client_is_scored_with_what_it_keeps(runs):
    path = runs.folder / 'ditto'
    runs.start(path, **SHORT)
    rows = read_tradeoff(path)
    kept = [row for row in rows if row['prompt'] == KEPT]
    clients = sorted({row['client'] for row in rows})
    assert len(kept) == 2 * len(clients) == 4
    assert {row['epoch'] for row in kept} == {0}
    shared = [row for row in rows if row['prompt'] == 'global']
    loss = {(r['client'], r['split']): r['loss'] for r in shared}
    differs = [loss[r['client'], r['split']] != r['loss'] for r in kept]
    assert any(differs)


def test_clients_that_were_in_no_cohort_are_counted(runs):
    path = runs.folder / 'few'
    runs.start(path, **SHORT | {'rounds': 1, 'clients_per_round': 1})
    (warning,) = (w for w in info(path)['warnings'] if 'no cohort' in w)
    kept = [r for r in read_tradeoff(path) if r['prompt'] == KEPT]
    shared = {
        (r['client'], r['split']): r['loss']
        for r in read_tradeoff(path)
        if r['prompt'] == 'global'
    }
    # One client was sampled; who was not answers as it began.
    assert warning.startswith(('1 of the 2', '2 of the 2'))
    began = [shared[r['client'], r['split']] == r['loss'] for r in kept]
    assert sum(began) in (0, 2, 4)


def test_clients_that_keep_nothing_have_no_such_row(runs):
    path = runs.folder / 'fedavg'
    runs.start(path, **SHORT, algorithm='fedavg')
    assert KEPT not in {row['prompt'] for row in read_tradeoff(path)}


def test_held_out_clients_have_no_such_row(runs):
    """They were in no cohort."""
    path = runs.folder / 'held out'
    runs.start(path, **SHORT, data__splits='random')
    assert KEPT not in {row['prompt'] for row in read_tradeoff(path)}


def test_the_prompt_of_the_client_is_scored(runs, monkeypatch):
    """Of the clients that are scored, in their order."""
    from fedprompt_jax.experiment import personalize

    seen = []

    def record(experiment, run, answers, epoch):
        seen.extend((a, experiment) for a in answers)

    stored = {}

    from fedprompt_jax.federated.client_store import ClientStore

    put = ClientStore.put

    def remember(self, ids, bank):
        for i, client in enumerate(ids.tolist()):
            stored[client] = jax.tree.map(lambda x, i=i: np.asarray(x)[i], bank)
        put(self, ids, bank)

    monkeypatch.setattr(personalize, 'score_all', record)
    monkeypatch.setattr(ClientStore, 'put', remember)
    runs.start(runs.folder / 'seen', **SHORT)
    ((answer, experiment),) = [x for x in seen if x[0].label == KEPT]
    ids = experiment.data.held_out.clients.tolist()
    assert set(ids) & set(stored)
    for place, client in enumerate(ids):
        prompt = np.asarray(answer.prompts['prompt'])[place]
        if client in stored:
            np.testing.assert_array_equal(prompt, stored[client]['prompt'])
