"""Laws of the data's own splits and of the examples that the server holds."""

import dataclasses
import shutil

import numpy as np
import pytest

from configs import ditto
from fedprompt_jax.data import official, splits
from fedprompt_jax.data.partitions import Clients, cut_share
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables import official as names
from fedprompt_jax.data.tokenizing import Template
from fedprompt_jax.experiment import build, populations
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment.personalize import KEPT
from fedprompt_jax.report.records import read_tradeoff
from tests import extensions, tiny_sources
from tests.tiny_run import Runs, info

extensions.install()  # an algorithm that trains on the server's examples
SHORT = {
    'rounds': 2,
    'clients_per_round': 3,
    'validation__every': 0,
    'validation__clients': 2,
    'personalization__epochs': 1,
    'personalization__clients': 3,
    'personalization__global_examples': 1000,
    'data__client_size': 16,
    'data__partition': 'high',
}


def clients(*sizes) -> Clients:
    starts = np.cumsum([0, *sizes], dtype=np.int64)
    return Clients(np.arange(sum(sizes)), starts, {})


def dealt_counts(seed=0):
    """What three clients get of 200 instances of four kinds: [3, 4]."""
    # Training instances of each kind; nobody trains on kind 1.
    mixtures = np.array([[40, 0, 0, 10], [20, 0, 30, 10], [0, 0, 30, 80]])
    kinds = np.concatenate([np.repeat(np.arange(4), row) for row in mixtures])
    test = np.repeat(np.arange(4), 50)
    whole = np.concatenate([kinds, test])
    instances = np.arange(len(kinds), len(whole))
    train = clients(*mixtures.sum(axis=1))
    dealt = official.deal(train, whole, instances, seed)
    counts = [np.bincount(whole[dealt[i]], minlength=4) for i in range(3)]
    return mixtures, np.array(counts), dealt, instances[whole[instances] != 1]


def test_a_client_gets_of_each_kind_what_it_trains_on():
    mixtures, counts, _, _ = dealt_counts()
    expected = 50 * mixtures / np.maximum(1, mixtures.sum(axis=0))
    assert np.abs(counts - expected).max() <= 0.5
    assert counts[:, 1].tolist() == [0, 0, 0]


def test_each_instance_goes_to_one_client():
    _, _, dealt, able = dealt_counts()
    assert sorted(dealt.order.tolist()) == able.tolist()
    assert len(dealt) == 3


def test_which_instances_a_client_gets_is_drawn_by_the_seed():
    drawn = [dealt_counts(seed)[2].order.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_many_clients_are_dealt_at_once():
    """Of kinds that are their own, as in data with clients."""
    many = clients(*[2] * 50_000)
    kind_of = np.concatenate([np.repeat(np.arange(50_000), 2), [7, 49_999]])
    dealt = official.deal(many, kind_of, np.array([100_000, 100_001]), 0)
    assert dealt[7].tolist() == [100_000] and dealt[49_999].tolist() == [
        100_001
    ]


@pytest.mark.parametrize(
    ('there', 'test_is', 'replaced'),
    [((0, 1, 2), 2, False), ((0, 2), 2, True), ((0, 1), 1, True)],
)
def test_no_prompt_is_chosen_on_what_it_is_tested_on(there, test_is, replaced):
    split_of = np.repeat(np.array(there, np.int8), 40)
    parts, notes = official.complete(split_of, 0.25, seed=3)
    assert (split_of[parts['test']] == test_is).all()
    assert len(parts['test']) == 40 and bool(notes) == replaced
    assert (split_of[parts['validation']] == (0 if replaced else 1)).all()
    assert len(parts['train']) == (30 if replaced else 40)
    joined = np.concatenate(list(parts.values()))
    assert len(set(joined.tolist())) == len(joined)


@pytest.mark.parametrize(
    ('name', 'split'),
    [
        ('train.jsonl', 'train'),
        ('dev.tsv', 'validation'),
        ('data/test-00000-of-00003.parquet', 'test'),
        ('validation_matched/part1.csv', 'validation'),
    ],
)
def test_the_name_of_a_file_says_its_split(name, split, tmp_path):
    paths = [tmp_path / name, tmp_path / 'train.x', tmp_path / 'test.x']
    assert names.of_files(str(tmp_path), paths)[tmp_path / name] == split


@pytest.mark.parametrize(
    ('files', 'says'),
    [
        (('train.csv', 'contest.csv'), 'contest.csv says no split'),
        (('train.csv', 'test-of-train.csv'), 'says test and train'),
        (('train.csv',), 'has train alone'),
        (('test.csv', 'dev.csv'), 'has validation and test alone'),
    ],
)
def test_files_of_no_split_are_named(files, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        names.of_files(str(tmp_path), [tmp_path / name for name in files])


def test_splits_of_the_hub_by_their_names():
    there = ['train', 'validation_matched', 'test', 'unsupervised']
    assert names.of_names('x', there) == {
        'train': 'train', 'validation_matched': 'validation', 'test': 'test',
    }  # fmt: skip


def folder_of(source: str, path):
    """A folder with a file for each split, and the config that reads it."""
    made = getattr(tiny_sources, source)(path / 'one')
    original = path / 'one' / made.data.path.rpartition('/')[2]
    folder = path / 'splits'
    folder.mkdir()
    for split in splits.SPLITS:
        shutil.copy(original, folder / f'{split}{original.suffix}')
    made.data.update({'path': str(folder), 'splits': 'official'})
    return made


@pytest.mark.parametrize(
    'source', ['classification', 'multiple_choice', 'jsonl']
)
def test_the_instances_of_a_split_are_those_of_its_file(source, lm, tmp_path):
    """And equal rows of two splits are two instances, each of its split."""
    made = folder_of(source, tmp_path)
    assert list(config_lib.sources.get(source).faults(made)) == []
    opened = config_lib.sources.get(source).open_source(made.data)
    c = made.data
    template = Template(
        c.template, c.separator, c.max_query, c.max_target, c.target
    )
    store = open_store(opened, lm.tokenizer, template, tmp_path / 'tokens')
    counts = np.bincount(store.split_of)
    assert len(store) == len(store.split_of) == 3 * counts[0]
    assert (counts == counts[0]).all()
    first, *_ = (tmp_path / 'splits').iterdir()
    before = opened.fingerprint
    first.rename(first.with_stem(f'{first.stem}_again'))
    again = config_lib.sources.get(source).open_source(made.data)
    assert again.fingerprint != before


def test_rows_of_the_hub_s_instructions_know_their_split(tmp_path):
    made = tiny_sources.natural_instructions(tmp_path)
    made.data.splits = 'official'
    source = config_lib.sources.get('natural_instructions')
    found = {}
    for task in source.open_source(made.data).tasks():
        found[task.name] = {x.split for x in task.instances}
    assert sorted(map(str, found.values())) == sorted(
        [str({'test'})] * 3 + [str({'train'})] * (len(found) - 3)
    )


@pytest.mark.parametrize('source', ['sni', 'tfds'])
def test_sources_without_such_splits_say_so(source, tmp_path):
    made = tiny_sources.sni(tmp_path)
    made.data.update({'source': source, 'splits': 'official'})
    lines = list(config_lib.sources.get(source).faults(made))
    assert any("splits='official'" in line for line in lines)


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    """Runs of Ditto on a classification set with three files."""
    runs = Runs(tmp_path_factory.mktemp('runs'), ditto)
    made = folder_of('classification', runs.folder)
    runs.base.data.update(made.data)
    return runs


def load(runs, **changes):
    config = runs.config(**SHORT | changes)
    return build.load_data(config, runs.folder / 'cache', runs.loaded)[1]


@pytest.mark.parametrize('partition', ['high', 'dirichlet'])
def test_clients_are_scored_on_labels_that_they_train_on(runs, partition):
    data = load(runs, data__partition=partition, data__dirichlet_alpha=0.1)
    store = data.store
    assert (store.split_of[data.population.order] == 0).all()
    assert (store.split_of[np.concatenate(data.validation.local)] == 1).all()
    for client, local in zip(
        data.held_out.clients, data.held_out.local, strict=True
    ):
        assert (store.split_of[local] == 2).all() and len(local)
        own = set(store.task_of[data.population[client]].tolist())
        assert set(store.task_of[local].tolist()) <= own
    # The global score is over the whole test split, of which there are 96.
    assert (
        data.held_out.common.tolist()
        == np.flatnonzero(store.split_of == 2).tolist()
    )
    assert len(data.held_out.common) == 96
    few = load(runs, personalization__global_examples=10).held_out.common
    assert len(few) == 10 and (store.split_of[few] == 2).all()


def test_a_few_of_a_client_s_examples_are_a_sample_of_them(runs):
    """And not the first labels, or the first texts, of the alphabet."""
    changes = {
        'data__partition': 'low',
        'data__client_size': 32,
        'personalization__eval_examples': 10,
        'personalization__train_examples': 10,
    }
    for seed in range(3):
        data = load(runs, **changes, seed=seed)
        task_of = data.store.task_of
        for parts in (data.held_out.train, data.held_out.local):
            shares = [np.mean(task_of[part] == 0) for part in parts]
            assert 0.2 < np.mean(shares) < 0.8
            assert all(0 < share < 1 for share in shares)
    firsts = {int(part[0]) for part in data.held_out.local}
    assert len(firsts) == len(data.held_out.local)


def test_a_source_has_to_say_the_split_of_all_instances(runs):
    data = load(runs)
    config = runs.config(**SHORT)
    for split_of in (data.store.split_of[:0], data.store.split_of[:-1]):
        other = dataclasses.replace(data.store, split_of=split_of)
        with pytest.raises(ValueError, match='does not say of each instance'):
            populations.make(config, other)
    some = data.store.split_of.copy()
    some[7] = -1
    other = dataclasses.replace(data.store, split_of=some)
    with pytest.raises(ValueError, match='does not say of each instance'):
        populations.make(config, other)


def test_validation_leaves_something_to_train_on():
    parts, _ = official.complete(np.array([0, 0, 2, 2, 0]), 0.99, seed=0)
    assert len(parts['train']) == 1 and len(parts['validation']) == 2


def test_an_algorithm_that_does_not_read_the_server_s_share_says_so(runs):
    with pytest.raises(ValueError, match='trains on no examples of the server'):
        runs.config(data__server_share=0.1)


def test_every_row_says_whose_examples_it_is_over(runs):
    path = runs.folder / 'run'
    runs.start(path, **SHORT)
    rows = read_tradeoff(path)
    found = {(r['split'], r['examples']) for r in rows}
    assert found == {('local', 'official_part'), ('global', 'test_split')}
    kept = [r for r in rows if r['prompt'] == KEPT]
    assert len(kept) == 6
    assert {r['n'] for r in rows if r['split'] == 'global'} == {96}
    assert not [w for w in info(path)['warnings'] if 'global score' in w]
    runs.start(runs.folder / 'within', **SHORT | {
        'data__splits': 'within', 'personalization__global_examples': 3,
    })  # fmt: skip
    found = {
        (r['split'], r['examples'])
        for r in read_tradeoff(runs.folder / 'within')
    }
    assert found == {
        ('local', 'training_client'), ('global', 'evaluated_clients'),
    }  # fmt: skip


def test_a_split_of_types_that_nobody_trains_on_is_refused(tmp_path, lm):
    runs = Runs(tmp_path, ditto)
    made = tiny_sources.natural_instructions(tmp_path / 'hub')
    runs.base.data.update(made.data)
    with pytest.raises(ValueError, match='no task type that the training'):
        load(runs, data__splits='official', data__client_size=4)


# What the server holds.


def test_what_the_server_holds_no_client_has():
    whole = clients(10, 1, 40, 3, 25)
    rest, server = cut_share(whole, 0.4, seed=1)
    assert sorted([*rest.order, *server]) == whole.order.tolist()
    assert len(rest) == 5 and rest.sizes.min() == 1
    for i in range(5):
        assert set(rest[i]) <= set(whole[i])
    assert abs(len(server) - 0.4 * 79) <= 3
    assert set(cut_share(whole, 0.4, seed=2)[1]) != set(server)


def test_all_but_one_instance_of_a_client_may_be_the_server_s():
    rest, server = cut_share(clients(1, 1, 50), 0.99, seed=0)
    assert rest.sizes.tolist()[:2] == [1, 1] and len(server) == 49


def test_the_share_of_the_server_is_of_the_training_data(runs):
    without = load(runs)
    data = load(runs, data__server_share=0.25, algorithm='warm_start')
    assert len(data.server) == 24 and len(without.server) == 0
    assert (data.store.split_of[data.server] == 0).all()
    assert not set(data.server) & set(data.population.order)
    assert without.fingerprint != data.fingerprint
    assert 'server: 24 instances' in data.description


def test_the_server_s_batches_are_as_many_as_a_client_s(runs):
    changes = {'data__server_share': 0.25, 'local_steps': 3, 'batch_size': 4}
    changes['algorithm'] = 'warm_start'
    data = load(runs, **changes)
    config = runs.config(**SHORT | changes)
    steps = [build.server_steps(config, data, round) for round in (0, 1)]
    for each in steps:
        assert [len(step) for step in each] == [4, 4, 4]
        assert {e.owner for step in each for e in step} == {0}
    # Passes without replacement go on from round to round: 24 examples.
    queries = [
        (tuple(e.query), tuple(e.target))
        for each in steps
        for step in each
        for e in step
    ]
    held = {
        (tuple(data.store.query(i)), tuple(data.store.target(i)))
        for i in data.server
    }
    assert set(queries) == held
    assert build.server_steps(runs.config(**SHORT), load(runs), 0) == []
