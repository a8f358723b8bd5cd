"""Laws of data.load: whose instances train, choose the prompt, and test it."""

import dataclasses
import itertools

import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.data import splits
from fedprompt_jax.experiment import data, populations
from fedprompt_jax.experiment.last_loaded import LastLoaded
from tests import tiny_data

TYPES = [f'Type {i}' for i in range(20)]  # a tenth of them: two a split
SETTINGS = {
    'data.client_size': 16,
    'validation.clients': 3,
    'validation.examples': 5,
    'personalization.clients': 4,
    'personalization.train_examples': 9,
    'personalization.eval_examples': 7,
    'personalization.global_examples': 6,
}


def settings(path, **changes):
    """The shipped config with the data at a path."""
    config = fedavg_adam.get_config()
    changes = {k.replace('__', '.'): v for k, v in changes.items()}
    config.update_from_flattened_dict(
        SETTINGS | {'data.path': str(path)} | changes
    )
    return config


@pytest.fixture(scope='module')
def load(lm, tmp_path_factory):
    """Changes of the config -> the data of a run."""
    folder = tmp_path_factory.mktemp('splits')
    path = tiny_data.make_data(
        folder / 'data', types=len(TYPES), tasks=1, instances=32
    )
    loaded = LastLoaded()

    def load(tokenizer=lm.tokenizer, **changes):
        config = settings(path, **changes)
        return data.load(config, tokenizer, lm.config, folder, loaded)

    return load


def parts(loaded) -> dict[str, set[int]]:
    """Instances of the three groups of clients."""
    validation, held_out = loaded.validation, loaded.held_out
    return {
        'train': set(loaded.population.order.tolist()),
        'validation': set(np.concatenate(validation.local).tolist()),
        'test': set(
            np.concatenate([*held_out.train, *held_out.local]).tolist()
        ),
    }


def types_of(loaded, instances) -> set[str]:
    store = loaded.store
    numbers = store.task_of[list(instances)]
    return {store.tasks[n]['categories'][0] for n in numbers}


@pytest.mark.parametrize('seed', [0, 1])
@pytest.mark.parametrize('partition', ['high', 'low'])
def test_the_instances_of_a_split_are_of_its_task_types(load, seed, partition):
    """Else the test clients' tasks are trained on."""
    loaded = load(seed=seed, data__partition=partition)
    expected = splits.split_task_types(TYPES, 'random', seed)
    instances = parts(loaded)
    assert types_of(loaded, instances['train']) == {*expected['train']}
    assert types_of(loaded, instances['validation']) <= {
        *expected['validation']
    }
    assert types_of(loaded, instances['test']) <= {*expected['test']}


@pytest.mark.parametrize('rule', ['random', 'clients'])
@pytest.mark.parametrize('partition', ['high', 'low'])
def test_no_instance_is_in_two_splits(load, rule, partition):
    loaded = load(data__splits=rule, data__partition=partition)
    instances = parts(loaded)
    assert all(instances.values())
    for a, b in itertools.combinations(instances.values(), 2):
        assert not a & b


def test_the_split_of_personalization_is_that_of_stage_2_s_clients(load):
    """'validation' is for the choice of settings, without the test clients."""
    loaded = load(personalization__split='validation')
    expected = splits.split_task_types(TYPES, 'random', 0)
    assert types_of(loaded, parts(loaded)['test']) <= {*expected['validation']}


def test_held_out_clients_have_one_task_type_whatever_training_clients_have(
    load,
):
    """Profit, appendix C.3: they stay heterogeneous."""
    loaded = load(data__partition='low')
    population = loaded.population
    for i in range(len(population)):
        assert len(types_of(loaded, population[i])) > 1
    held_out, validation = loaded.held_out, loaded.validation
    pairs = zip(held_out.train, held_out.local, strict=True)
    for own in [*validation.local, *map(np.concatenate, pairs)]:
        assert len(types_of(loaded, own)) == 1


def test_clients_have_the_examples_that_the_config_asks_for(load):
    loaded = load()
    assert [len(own) for own in loaded.validation.local] == [5] * 3
    assert [len(own) for own in loaded.held_out.train] == [9] * 4
    assert [len(own) for own in loaded.held_out.local] == [7] * 4
    assert len(loaded.held_out.common) == 6


def test_who_is_where_is_part_of_what_a_run_is(load, tmp_path):
    """Else a run resumes with the training tasks of before as test tasks."""
    one = load()
    assert load().fingerprint == one.fingerprint
    others = [
        load(seed=1),
        load(data__partition='low'),
        load(personalization__clients=3),
        load(validation__examples=4),
        load(personalization__train_examples=8),
    ]
    assert len({one.fingerprint, *(x.fingerprint for x in others)}) == 6


def test_lists_of_splits_that_change_make_another_run(lm, tmp_path):
    path = tiny_data.make_data(tmp_path / 'data', types=8, tasks=1)
    names = sorted(f.stem for f in (path / 'tasks').iterdir())
    lists = path / 'splits' / 'mine'
    lists.mkdir(parents=True)
    config = fedavg_adam.get_config()
    flat = {'data.path': str(path), 'data.splits': 'mine'}
    small = {'validation.clients': 1, 'personalization.clients': 1}
    config.update_from_flattened_dict(SETTINGS | flat | small)
    fingerprints = set()
    for train, test in ((names[:5], names[5:]), (names[3:], names[:3])):
        (lists / 'train_tasks.txt').write_text('\n'.join(train))
        (lists / 'test_tasks.txt').write_text('\n'.join(test))
        loaded = data.load(
            config, lm.tokenizer, lm.config, tmp_path, LastLoaded()
        )
        fingerprints.add(loaded.fingerprint)
    assert len(fingerprints) == 2


def test_clients_of_stage_2_are_held_out_in_the_split_that_they_are_of(load):
    """More of them than a tenth of the 40 clients, and than validation asks."""
    for split in ('validation', 'test'):
        loaded = load(
            data__splits='clients',
            personalization__split=split,
            personalization__clients=7,
        )
        assert len(loaded.held_out.clients) == 7


def test_small_tasks_of_one_type_make_clients_together(lm, tmp_path):
    """Each task is half a client, and a type is two."""
    path = tiny_data.make_data(
        tmp_path / 'data', types=20, tasks=4, instances=8
    )
    config = settings(path, validation__clients=4)
    loaded = data.load(config, lm.tokenizer, lm.config, tmp_path, LastLoaded())
    population = loaded.population
    assert len(population) == 16 * 2 and not population.dropped
    for i in range(len(population)):
        assert len(types_of(loaded, population[i])) == 1


def test_a_partition_depends_on_the_seed_and_on_alpha(load):
    store = load().store

    def order(kind, **changes):
        config = settings('', **changes)
        instances = np.arange(len(store))
        made = populations._partition(config, store, instances, kind)
        return tuple(made.order)

    assert order('low') == order('low', data__dirichlet_alpha=9.0)
    assert order('low') != order('low', seed=1)
    mixed = order('dirichlet')
    assert mixed == order('dirichlet') != order('dirichlet', seed=1)
    assert mixed != order('dirichlet', data__dirichlet_alpha=9.0)


def test_runs_of_one_process_share_the_tokens_that_they_would_read(load, lm):
    """And no others: a study may be over what becomes tokens."""
    store = load().store
    assert load(seed=1, data__partition='low').store is store
    assert load(data__max_query=8).store.query_lengths.max() == 8
    assert load(data__max_target=2).store.target_lengths.max() == 2
    template = 'Q: {input}'
    assert load(data__template=template).store.query_lengths.min() > (
        store.query_lengths.min()
    )
    other = dataclasses.replace(lm.tokenizer, eos_ids=(2, 3))
    first, again = load(tokenizer=other).store, load().store
    assert first.fingerprint != store.fingerprint == again.fingerprint


def test_what_stage_1_depends_on(load):
    """Who trains and who chooses; not who personalizes, on what or how many."""
    first = load().training_fingerprint
    for changes in (
        {'personalization__train_examples': 3},
        {'personalization__clients': 3},
        {'personalization__global_examples': 5},
    ):
        data = load(**changes)
        assert data.training_fingerprint == first, changes
        assert data.fingerprint != load().fingerprint
    for changes in (
        {'data__partition': 'low'},
        {'seed': 1},
        {'validation__clients': 2},
        {'validation__examples': 4},
        {'data__server_share': 0.1},
    ):
        assert load(**changes).training_fingerprint != first, changes
