"""Row shapes of a run: chosen from its own batches, and its longest fits."""

import dataclasses
import types

import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.evaluation import choices
from fedprompt_jax.experiment import packers

LONG_QUERY, LONG_TARGET, LONG_CHOICE = 30, 31, 32  # instances


@pytest.fixture(scope='module')
def store(lm, tmp_path_factory):
    """33 instances, of which the last three are long."""
    instances = [Instance(f'{i}', f'what is {i}?', ('no',)) for i in range(30)]
    instances += [
        Instance('30', 'what is zq?' * 20, ('no',)),
        Instance('31', 'what is it?', ('zq' * 20,)),
        Instance('32', 'what is he?', ('no',), ('no', 'kx' * 25)),
    ]
    return open_store(
        Source('long', 'long', lambda: [bare('long', instances)]),
        lm.tokenizer,
        Template('{input}', '\n', 256, 64),
        tmp_path_factory.mktemp('store'),
    )


def settings(**changes):
    """Two clients a round, batches of 2; stage 2 has 3, batches of 4."""
    config = fedavg_adam.get_config()
    config.update(clients_per_round=2, batch_size=2)
    config.personalization.update(clients=3, batch_size=4)
    changes = {k.replace('__', '.'): v for k, v in changes.items()}
    config.update_from_flattened_dict(changes)
    return config


def data_of(store, train=(), validation=(), local=()):
    """Three clients of each kind; some more instances for the first of them."""

    def held_out(start, more_train=(), more_local=()):
        train = [np.array([start + i] * 5) for i in range(3)]
        local = [np.array([start + 3 + i]) for i in range(3)]
        train[0] = np.append(train[0], more_train).astype(int)
        local[0] = np.append(local[0], more_local).astype(int)
        return types.SimpleNamespace(
            clients=np.arange(3),
            train=train,
            local=local,
            common=np.concatenate(local),
        )

    return types.SimpleNamespace(
        store=store,
        population=Clients(np.arange(12), np.array([0, 4, 8, 12]), {}),
        server=np.empty(0, int),
        validation=held_out(12, more_local=validation),
        held_out=held_out(18, train, local),
        views=None,
    )


def fits(packer, *examples):
    return len(packer.pack(examples, [1.0] * len(examples))) > 0


@pytest.mark.parametrize('i', [LONG_QUERY, LONG_TARGET])
def test_the_longest_example_of_either_stage_fits(i, store, model):
    """Though it is in no batch of the sample."""
    short = data_of(store)
    first = dataclasses.replace(
        short.population, order=np.array([*range(11), i])
    )
    of_server = vars(short) | {'server': np.array([i])}
    for data in (
        types.SimpleNamespace(**vars(short) | {'population': first}),
        types.SimpleNamespace(**of_server),
    ):
        packer = packers.of_training(settings(), model, data, short.population)
        assert fits(packer, store.example(0, i), store.example(1, 0))
    data = data_of(store, train=[18] * 40 + [i])
    training = packers.of_training(settings(), model, data, short.population)
    packer = packers.of_personalization(settings(), model, data, training)
    assert packer != training
    assert fits(packer, store.example(0, i), store.example(1, 0))


def test_rows_that_are_long_enough_may_hold_too_few_targets(store, model):
    data = data_of(store, train=[LONG_TARGET])
    args = settings(), model, data
    for targets, same in ((64, True), (2, False)):
        training = model.packer(Shape(512, targets, (4,)))
        packer = packers.of_personalization(*args, training)
        assert (packer == training) == same
        assert fits(packer, store.example(0, LONG_TARGET))


def test_the_rounds_do_not_depend_on_stage_2(store, model):
    """And stage 2 has the programs of the rounds where they fit."""
    made = []
    for train, size in (([18] * 40, 2), ([LONG_QUERY], 4)):
        config, data = settings(), data_of(store, train=train)
        config.personalization.batch_size = size
        args = config, model, data
        training = packers.of_training(*args, data.population)
        made.append((training, packers.of_personalization(*args, training)))
    assert made[0][0] == made[0][1] == made[1][0] != made[1][1]


@pytest.mark.parametrize('i', [LONG_QUERY, LONG_TARGET, LONG_CHOICE])
@pytest.mark.parametrize('where', ['validation', 'local'])
def test_the_longest_choice_fits(i, where, store, model):
    data = data_of(store, **{where: [i]})
    packer = packers.of_evaluation(settings(), model, data)
    assert fits(packer, *choices.examples(store, 0, i))


def test_what_is_scored_is_that_of_validation_and_of_held_out_clients(
    store, model
):
    data = data_of(store, validation=[LONG_CHOICE] * 70)
    batches, used = packers.evaluation_batches(settings(), model, data)
    own = [*data.validation.local, *data.held_out.local]
    assert sorted(used) == sorted(np.concatenate(own))
    expected = [e for i in used for e in choices.examples(store, 0, int(i))]
    found = [e for batch in batches for e in batch]
    assert [list(e.target) for e in found] == [list(e.target) for e in expected]
    for batch in batches:
        owners = [e.owner for e in batch]
        assert max(owners) < packers.SLICE
        assert set(owners) == set(range(max(owners) + 1))


@pytest.mark.parametrize(('data_axis', 'count'), [(1, 1), (2, 2)])
def test_choices_that_exceed_a_grid_are_divided(data_axis, count, store, model):
    """A grid has at least a row for each part of the mesh's data axis."""
    data = data_of(store, local=[LONG_CHOICE])
    (whole,) = choices.examples(store, 0, LONG_CHOICE)
    config = settings()
    config.mesh.data = data_axis
    config.packing.max_tokens = model.kind.slots + whole.num_tokens
    batches, _ = packers.evaluation_batches(config, model, data)
    found = [
        e
        for batch in batches
        for e in batch
        if list(e.query) == list(whole.query)
    ]
    assert len(found) >= count and (count > 1) == (len(found) > 1)
    packer = packers.of_evaluation(config, model, data)
    assert fits(packer, *found)


def test_the_sample_is_of_batches_as_the_stages_have_them(store):
    data = data_of(store)
    cohorts = packers.cohort_batches(settings(), data, data.population)
    epochs = packers.epoch_batches(settings(), data)
    assert len(cohorts) == packers.SAMPLE
    for step in cohorts:
        assert sorted(e.owner for e in step) == [0, 0, 1, 1]
    # Clients of 5 instances: steps of 4 and of 1.
    assert [len(step) for step in epochs] == [3 * 4, 3 * 1]


def test_of_passes_over_all_examples_each_step_is_sampled(store):
    """The last ones have batches of the largest client alone."""
    data = data_of(store)
    data.population = [np.arange(2), np.arange(2, 11)]
    config = settings(local_epochs=3, local_steps=0)
    config.data.client_size = 6
    rounds = packers.sampled_rounds(config, data, data.population)
    assert len(rounds) == packers.SAMPLE
    for steps in rounds:
        owners = [[e.owner for e in step] for step in steps]
        assert owners == [[0, 0, 1, 1], *[[1, 1]] * 3, [1]]


def test_large_batches_are_sampled_but_once(store, monkeypatch):
    data = data_of(store)
    for most, count in ((1, 1), (8, 2), (100, packers.SAMPLE)):
        monkeypatch.setattr(packers, 'EXAMPLES', most)
        cohorts = packers.cohort_batches(settings(), data, data.population)
        epochs = packers.epoch_batches(settings(), data)
        assert len(cohorts) == count
        assert len(epochs) == min(2, max(1, most // 12))


def test_runs_side_by_side_have_owners_of_their_own(store):
    batch = [store.example(owner, owner) for owner in (0, 2, 2)]
    both = packers._side_by_side(batch, 2)
    assert [e.owner for e in both] == [0, 2, 2, 3, 5, 5]
    assert [list(e.query) for e in both] == 2 * [list(e.query) for e in batch]


@pytest.mark.parametrize('multiple', [1, 4])
def test_rows_are_a_multiple_of_the_mesh_s_data_axis(multiple, store, model):
    config = settings(mesh__data=multiple)
    data = data_of(store)
    for packer in (
        packers.of_training(config, model, data, data.population),
        packers.of_evaluation(config, model, data),
    ):
        for shape in packer.shapes:
            assert all(n % multiple == 0 for n in shape.rows)
            assert multiple > 1 or min(shape.rows) < 4
