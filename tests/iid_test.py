"""Partition 'iid': equal shards, the server's among them; labels of choices."""

import numpy as np
import pytest

from fedprompt_jax.data import partitions, sources
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tokenizing import Template
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.experiment import data_checks, populations
from tests import tiny_sources

TYPES = np.repeat([0, 1, 2], [60, 30, 20])


@pytest.mark.parametrize('clients', [1, 7, 10, 110])
def test_shards_are_equal_disjoint_and_complete(clients):
    made = partitions.iid(110, clients, seed=0)
    assert sorted(made.order.tolist()) == list(range(110))
    assert len(made) == clients
    assert made.sizes.max() - made.sizes.min() <= 1


def test_shards_are_drawn_by_the_seed():
    drawn = [partitions.iid(50, 5, seed).order.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_shard_is_a_sample_of_all_types():
    """The mean over many draws of a client's types is that of the data."""
    counts = np.zeros(3)
    for seed in range(300):
        first = partitions.iid(len(TYPES), 10, seed)[0]
        counts += np.bincount(TYPES[first], minlength=3)
    expected = np.bincount(TYPES) / len(TYPES)
    np.testing.assert_allclose(counts / counts.sum(), expected, atol=0.03)


def test_the_server_s_shard_is_one_of_eleven_equal_ones():
    """FedSP's: ten clients and the server."""
    for total in (110, 111, 115, 120, 3778):
        whole = partitions.iid(total, 10, seed=3)
        rest, server = partitions.cut_shard(whole, 1 / 11)
        assert sorted([*rest.order, *server]) == list(range(total))
        sizes = [*rest.sizes, len(server)]
        assert max(sizes) - min(sizes) <= 1, total
        assert len(rest) == 10
        assert server.tolist() == sorted(server.tolist())
    # It is no neighbourhood of the data's order.
    assert len(set(np.diff(server))) > 2


def test_of_a_large_share_each_client_keeps_an_instance():
    rest, server = partitions.cut_shard(partitions.iid(12, 4, 0), 0.99)
    assert rest.sizes.tolist() == [1, 1, 1, 1] and len(server) == 8


def test_more_clients_than_instances_are_refused():
    with pytest.raises(ValueError, match=r'num_clients=8 is more than the 7'):
        partitions.iid(7, 8, 0)
    whole = partitions.iid(7, 7, 0)
    with pytest.raises(ValueError, match=r'server_share=0.1 leaves no inst'):
        partitions.cut_shard(whole, 0.1)


def quiz(folder, rows=96, **changes):
    """The config of questions, and their rows' number."""
    config = tiny_sources.multiple_choice(folder, rows)
    changes = {k.replace('__', '.'): v for k, v in changes.items()}
    config.update_from_flattened_dict(
        {'data.splits': 'within', 'data.partition': 'iid'} | changes
    )
    config_lib.check(config, files=False)
    return config


def opened(config, lm, folder):
    c = config.data
    source = sources.get(c.source).open_source(c)
    template = Template(c.template, c.separator, 64, 16, c.target)
    return open_store(source, lm.tokenizer, template, folder)


@pytest.mark.parametrize('splits', ['within', 'clients'])
def test_a_config_asks_for_shards(splits, lm, tmp_path):
    config = quiz(
        tmp_path,
        data__num_clients=12,
        data__splits=splits,
        validation__clients=2,
        personalization__clients=2,
        personalization__global_examples=8,
    )
    store = opened(config, lm, tmp_path / 'store')
    config.data.server_share = 0.25
    made = populations.make(config, store)
    train = made.clients['train']
    assert len(train) == {'within': 12, 'clients': 8}[splits]
    assert train.sizes.max() - train.sizes.min() <= 1
    assert (
        abs(len(made.server) - (train.sizes.sum() + len(made.server)) / 4) < 1
    )
    parts = [part.order for part in made.clients.values()]
    everything = np.concatenate([*parts, made.server])
    assert sorted(everything.tolist()) == list(range(96))


def test_too_few_shards_are_mended_by_more_of_them(tmp_path):
    config = quiz(tmp_path, data__num_clients=3)
    few = {
        name: partitions.iid(9, 3, 0)
        for name in ('train', 'validation', 'test')
    }
    lines = data_checks.too_few_clients(config, few)
    assert any('clients_per_round=4 is more than the 3' in x for x in lines)
    assert all('larger config.data.num_clients than 3' in x for x in lines)


def test_too_few_shards_to_hold_some_out_are_mended_by_more(lm, tmp_path):
    config = quiz(tmp_path, data__splits='clients', data__num_clients=9)
    store = opened(config, lm, tmp_path / 'store')
    with pytest.raises(
        ValueError, match=r'larger config.data.num_clients than 9'
    ):
        populations.make(config, store)


def test_the_label_of_a_question_is_the_place_of_its_right_option(lm, tmp_path):
    """Question i's options are turned by i % 3, and option i % 2 is right."""
    config = quiz(
        tmp_path,
        data__partition='dirichlet_label',
        data__num_clients=12,
        data__dirichlet_alpha=0.01,
        data__size_alpha=1000.0,
    )
    store = opened(config, lm, tmp_path / 'store')
    places = np.array([int(store.record(i)['id']) - 1 for i in range(96)]) % 2
    everybody = populations._all_clients(config, store)
    assert sorted(everybody.order.tolist()) == list(range(96))
    shares = [places[everybody[i]].mean() for i in range(12)]
    # Of 8 questions at random, 0.18; of one place each, as far as they last:
    assert np.std(shares) > 0.3


def test_a_place_that_is_always_the_same_is_no_label(lm, tmp_path):
    (tmp_path / 'a').mkdir()
    rows = [
        {'question': f'{i}?', 'options': ['a', 'b', f'{i}'], 'answer': f'{i}'}
        for i in range(9)
    ]
    path = tiny_sources.write_lines(tmp_path / 'a' / 'quiz.jsonl', rows)
    config = quiz(tmp_path / 'b', data__partition='dirichlet_label')
    config.data.update({'path': str(path), 'template': '{input}'})
    store = opened(config, lm, tmp_path / 'store')
    with pytest.raises(ValueError, match='at place 3 in all instances'):
        populations.make(config, store)


def test_texts_of_one_type_have_no_labels(lm, tmp_path):
    rows = [
        {'client': 'a', 'task': 't', 'input': f'{i}?', 'output': f'{i}'}
        for i in range(9)
    ]
    path = tiny_sources.write_lines(tmp_path / 'mine.jsonl', rows)
    config = tiny_sources.config('jsonl', path, splits='within')
    config.data.partition = 'dirichlet_label'
    store = opened(config, lm, tmp_path / 'store')
    with pytest.raises(ValueError, match="have no options.*use 'iid'"):
        populations.make(config, store)
