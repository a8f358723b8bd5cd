"""Partitions are partitions, and look like Table 1 at the paper's sizes."""

import numpy as np
import pytest

from fedprompt_jax.data import heterogeneity, partitions
from tests.exhaustive import exhaustive

# Tasks of each of 58 training types, as unequal as SNI's: 1344 in all.
TASKS = [
    394,
    193,
    90,
    74,
    45,
    43,
    40,
    37,
    37,
    27,
    25,
    25,
    22,
    20,
    19,
    15,
    15,
    13,
    13,
    13,
    12,
    10,
    10,
    12,
    9,
    9,
    9,
    9,
    8,
    8,
    8,
    7,
    7,
    6,
    6,
    5,
    5,
    4,
    4,
    4,
    4,
    3,
    3,
    3,
    2,
    2,
    2,
    2,
    2,
    1,
    1,
    1,
    1,
    1,
    1,
    1,
    1,
    1,
]
KINDS = partitions.KINDS


def _instances(task_sizes, tasks_of_type):
    """(task_of, type_of) in canonical order."""
    type_of_task = np.repeat(np.arange(len(tasks_of_type)), tasks_of_type)
    task_of = np.repeat(np.arange(len(task_sizes)), task_sizes)
    return task_of, type_of_task[task_of]


@pytest.fixture(scope='module')
def small():
    sizes = np.random.default_rng(0).integers(20, 300, 40)
    sizes[-2:] = 20, 20  # the last two types: one task, too small, of even size
    return _instances(sizes, [12, 10, 7, 5, 4, 1, 1])


@pytest.fixture(scope='module')
def paper():
    """SNI's training data in number: 3520 x 1201 instances, 58 types."""
    rng = np.random.default_rng(0)
    share = np.minimum(rng.lognormal(0, 2.3, sum(TASKS)), 3.0)
    sizes = 30 + share / share.sum() * (3520 * 1201 - 30 * sum(TASKS))
    return _instances(sizes.astype(int), TASKS)


def _partition(kind, data, size=100, seed=0, **kwargs):
    return partitions.partition(kind, *data, size, seed, **kwargs)


@pytest.mark.parametrize('kind', KINDS)
def test_clients_are_disjoint_and_complete(kind, small):
    clients = _partition(kind, small)
    _, type_of = small
    assert clients.dropped == {5: 20, 6: 20}
    kept = np.flatnonzero(type_of < 5)
    np.testing.assert_array_equal(np.sort(clients.order), kept)
    joined = np.concatenate([clients[i] for i in range(len(clients))])
    np.testing.assert_array_equal(joined, clients.order)
    assert clients.order.dtype == clients.starts.dtype == np.int64
    assert len(clients) == len(list(clients))


@pytest.mark.parametrize('kind', KINDS)
def test_a_seed_decides(kind, small):
    one, same = _partition(kind, small, seed=3), _partition(kind, small, seed=3)
    np.testing.assert_array_equal(one.order, same.order)
    np.testing.assert_array_equal(one.starts, same.starts)
    other = _partition(kind, small, seed=4)
    assert (one.order == other.order).all() == (kind == 'high')


def test_every_kind_has_the_clients_that_the_types_sizes_give(small):
    _, type_of = small
    expected = sum(round(n / 100) for n in np.bincount(type_of))
    assert {len(_partition(kind, small)) for kind in KINDS} == {expected}


@pytest.mark.parametrize('kind', ['high', 'medium'])
def test_within_a_type_sizes_differ_by_one_at_most(kind, small):
    clients = _partition(kind, small)
    _, type_of = small
    types = [set(type_of[c]) for c in clients]
    assert all(len(t) == 1 for t in types)
    type_of_client = np.array([t.pop() for t in types])
    for t in range(5):
        assert np.ptp(clients.sizes[type_of_client == t]) <= 1


@pytest.mark.parametrize('kind', ['low', 'dirichlet'])
def test_over_all_types_sizes_differ_by_one_at_most(kind, small):
    assert np.ptp(_partition(kind, small).sizes) <= 1


def test_high_is_the_canonical_order_cut(small):
    clients = _partition('high', small)
    assert (np.diff(clients.order) == 1).all()
    # and finds that order where it is given another
    task_of, type_of = (x[::-1] for x in small)
    again = _partition('high', (task_of, type_of))
    np.testing.assert_array_equal(task_of[again.order], small[0][clients.order])


def test_clients_are_cut_type_by_type_whatever_the_tasks_numbers():
    """SNI's tasks of a type are numbered anyhow, not one after the other."""
    task_of = np.repeat(np.arange(12), 10)
    type_of = task_of % 3
    clients = _partition('high', (task_of, type_of), 20)
    assert len(clients) == 6
    for own in clients:
        assert len(set(type_of[own])) == 1
        assert len(set(task_of[own])) == 2


def test_medium_and_low_are_shuffled(small):
    for kind in ('medium', 'low', 'dirichlet'):
        order = _partition(kind, small).order
        assert (np.diff(order) == 1).mean() < 0.05


def test_dirichlet_goes_from_one_type_to_the_whole_mixture(small):
    means = []
    for alpha in (1e-3, 1.0, 30.0, 1e6):
        clients = _partition('dirichlet', small, dirichlet_alpha=alpha)
        means.append(heterogeneity.kl_from_global(clients, small[1]).mean())
    assert means == sorted(means, reverse=True)
    high = _partition('high', small)
    assert means[0] > 0.8 * heterogeneity.kl_from_global(high, small[1]).mean()
    # The median: the last clients take leftovers, and are unlike the rest.
    low = _partition('low', small)
    limits = [
        np.median(heterogeneity.kl_from_global(c, small[1]))
        for c in (clients, low)
    ]
    assert limits[0] < 2 * limits[1]


def test_a_dirichlet_client_leans_to_the_prior():
    task_of = np.repeat([0, 1], [9000, 1000])
    clients = _partition('dirichlet', (task_of, task_of), 50)
    first = clients[0]
    assert len(first) == 50
    # The mean mixture is the prior, leftovers and all: nothing is lost.
    shares = [(task_of[c] == 0).mean() for c in clients]
    np.testing.assert_allclose(np.mean(shares), 0.9)
    assert np.std(shares) > 0.1


def test_a_client_takes_no_more_of_a_type_than_is_left():
    """And what it lacks then, of the types that it wants less."""
    rng = np.random.default_rng(0)
    left = np.array([5, 3, 100])
    for mixture in ([0.8, 0.1, 0.1], [1.0, 0.0, 0.0], [0.5, 0.5, 0.0]):
        taken = partitions._draw(np.array(mixture), left, 50, rng)
        assert taken.sum() == 50
        assert (taken <= left).all()


def test_a_client_size_that_leaves_no_client_is_an_error(small):
    largest = np.bincount(small[1]).max()
    with pytest.raises(ValueError) as e:
        _partition('low', small, 10**6)
    assert 'config.data.client_size=1000000' in str(e.value)
    limit = 2 * largest - 1
    assert f'use {limit} or less' in str(e.value)
    assert len(_partition('low', small, limit)) == 1
    with pytest.raises(ValueError):
        _partition('low', small, limit + 1)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ({'kind': 'hihg'}, "config.data.partition='hihg'"),
        ({'size': 0}, 'config.data.client_size=0'),
        ({'kind': 'dirichlet', 'dirichlet_alpha': 0.0}, 'dirichlet_alpha=0.0'),
    ],
    ids=str,
)
def test_bad_arguments_are_named(small, arguments, said):
    with pytest.raises(ValueError, match=said):
        _partition(**({'kind': 'low', 'data': small} | arguments))


def test_a_million_clients_are_two_arrays():
    task_of = np.repeat(np.arange(100), 40_000)
    clients = _partition('low', (task_of, task_of // 10), 4)
    assert len(clients) == 10**6 and clients[-1 + 10**6].shape == (4,)
    for absent in (10**6, -1):
        with pytest.raises(IndexError):
            clients[absent]


@exhaustive
def test_table_1_comes_out_at_the_papers_sizes(paper):
    task_of, type_of = paper
    rows, kl_type, kl_task = {}, {}, {}
    for kind in ('high', 'medium', 'low'):
        clients = _partition(kind, paper, 1200)
        rows[kind] = heterogeneity.table1(clients, task_of, type_of)
        kl_type[kind] = heterogeneity.kl_from_global(clients, type_of).mean()
        kl_task[kind] = heterogeneity.kl_from_global(clients, task_of).mean()
    for row in rows.values():
        assert abs(row.clients - 3520) <= 10
        assert abs(row.instances.mean - 1201) < 5
    high, medium, low = rows['high'], rows['medium'], rows['low']
    assert high.instances == medium.instances
    assert high.instances.sd < 25 and low.instances.sd <= 0.5  # 17.6 and 0.4
    assert round(high.tasks.mean) == 1 and high.tasks.sd < 1  # 1 ± 0.8
    assert abs(medium.tasks.mean - 118) < 15  # 118 ± 111.2
    assert abs(medium.tasks.sd - 111.2) < 15
    assert abs(low.tasks.mean - 640) < 40 and low.tasks.sd < 13  # 640 ± 10.8
    assert high.types == medium.types == (1, 0)  # 1 ± 0
    assert abs(low.types.mean - 50) < 3 and low.types.sd < 2  # 50 ± 1.8
    # Figure 6.
    assert kl_type['low'] < 0.1 * kl_type['medium']
    assert kl_type['medium'] == pytest.approx(kl_type['high'])
    assert kl_task['low'] < kl_task['medium'] < kl_task['high']


def test_table_1_by_hand():
    """Clients of 1 and 3 instances, 1 and 2 tasks, 1 and 1 types."""
    clients = partitions.Clients(np.arange(4), np.array([0, 1, 4]), {})
    task_of, type_of = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 1])
    row = heterogeneity.table1(clients, task_of, type_of)
    assert row == (2, (2, 1), (1.5, 0.5), (1, 0))


def test_kl_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 1])
    clients = partitions.Clients(np.arange(6), np.array([0, 2, 4, 6]), {})
    log2 = np.log(2)
    np.testing.assert_allclose(
        heterogeneity.kl_from_global(clients, labels),
        [log2, 0, log2],
        atol=1e-12,
    )


def test_kl_is_from_the_distribution_of_instances_and_not_of_clients():
    """Clients of 1 and 3 instances: labels 0, and 0, 1, 1; half of all is 0.

    (The mean of the two clients' distributions would have two thirds of it.)
    """
    labels = np.array([0, 0, 1, 1])
    clients = partitions.Clients(np.arange(4), np.array([0, 1, 4]), {})
    expected = [
        np.log(1 / (1 / 2)),
        1 / 3 * np.log(1 / 3 / (1 / 2)) + 2 / 3 * np.log(2 / 3 / (1 / 2)),
    ]
    np.testing.assert_allclose(
        heterogeneity.kl_from_global(clients, labels), expected
    )
    weights = np.array([[0.5, 0.5], [0, 1]])  # label 0 is half 'a', half 'b'
    whole = np.array([1 / 4, 3 / 4])
    expected = [
        sum(p * np.log(p / g) for p, g in zip(own, whole, strict=True))
        for own in ([1 / 2, 1 / 2], [1 / 6, 5 / 6])
    ]
    np.testing.assert_allclose(
        heterogeneity.kl_from_global(clients, labels, weights), expected
    )


def test_several_values_share_an_instance():
    values = [['a', 'b', 'a'], ['a'], [], ['b']]  # one of them twice
    names, weights = heterogeneity.label_weights(values)
    assert names == ('a', 'b', 'none')
    np.testing.assert_array_equal(
        weights, [[0.5, 0.5, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
    )
    task_of = np.array([0, 0, 1, 3, 3, 1])
    clients = partitions.Clients(np.arange(6), np.array([0, 2, 4, 6]), {})
    kl = heterogeneity.kl_from_global(clients, task_of, weights)
    np.testing.assert_allclose(kl, 0, atol=1e-12)  # all are half a, half b
    assert (heterogeneity.kl_from_global(clients, task_of) > 0.4).all()
    with pytest.raises(ValueError, match='row sums to 0.5'):
        heterogeneity.kl_from_global(clients, task_of, weights / 2)


def test_weights_of_one_label_change_nothing(small):
    clients = _partition('medium', small)
    task_of, type_of = small
    one_hot = np.eye(7)[type_of[np.unique(task_of, return_index=True)[1]]]
    np.testing.assert_allclose(
        heterogeneity.kl_from_global(clients, task_of, one_hot),
        heterogeneity.kl_from_global(clients, type_of),
        atol=1e-12,
    )


def test_clients_as_the_data_have_them():
    whose = np.array([2, 0, -1, 2, 1, 0, 2])
    clients = partitions.by_client(whose)
    assert [list(clients[i]) for i in range(3)] == [[1, 5], [4], [0, 3, 6]]
    assert list(clients.sizes) == [2, 1, 3] and not clients.dropped
    some = clients.take(np.array([2, 0]))
    assert [list(some[i]) for i in range(len(some))] == [[0, 3, 6], [1, 5]]
