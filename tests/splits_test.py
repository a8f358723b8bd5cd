"""Splits: disjoint by task type, the paper's lists, SNI's own lists."""

import numpy as np
import pytest

from fedprompt_jax.data import splits

PAPER = [*splits.PAPER_TEST_TYPES, *splits.PAPER_VALIDATION_TYPES]
OTHERS = [f'type {i:02}' for i in range(58)]


def _split(types, rule='paper', seed=0):
    return splits.split_task_types(types, rule, seed)


def test_the_paper_counts_come_out_of_snis_76_types():
    types = [*OTHERS, *PAPER, *splits.PAPER_EXCLUDED_TYPES]
    assert len(types) == 76
    found = _split(types)
    assert set(found['test']) == set(splits.PAPER_TEST_TYPES)
    assert set(found['validation']) == set(splits.PAPER_VALIDATION_TYPES)
    assert found['train'] == tuple(OTHERS)


@pytest.mark.parametrize('rule', splits.RULES)
@pytest.mark.parametrize(
    'types',
    [OTHERS, OTHERS[:3], [*OTHERS, *PAPER], ['Explanation', *OTHERS[:2]]],
    ids=len,
)
def test_splits_are_disjoint_complete_and_not_empty(rule, types):
    found = _split(types, rule)
    parts = [t for k in splits.SPLITS for t in found[k]]
    assert sorted(parts) == sorted(types)
    assert all(found[k] for k in splits.SPLITS)


@pytest.mark.parametrize('rule', splits.RULES)
def test_a_seed_decides_and_the_order_of_types_does_not(rule):
    one = _split(OTHERS, rule, 1)
    assert one == _split([*reversed(OTHERS), *OTHERS[:5]], rule, 1)
    assert one != _split(OTHERS, rule, 2)


def test_a_tenth_each_is_drawn_at_random():
    found = _split([*OTHERS, *PAPER], 'random')
    assert len(found['test']) == len(found['validation']) == 7
    assert set(found['test']) != set(splits.PAPER_TEST_TYPES)


def test_only_a_split_without_a_paper_type_is_filled():
    found = _split(['Explanation', *OTHERS[:20]])
    assert found['test'] == ('Explanation',)
    assert len(found['validation']) == 2


def test_types_are_recognised_whatever_their_case():
    lower = [t.lower() for t in [*PAPER, *splits.PAPER_EXCLUDED_TYPES]]
    found = _split([*OTHERS, *lower])
    assert found['test'] == tuple(
        sorted(t.lower() for t in splits.PAPER_TEST_TYPES)
    )
    assert found['train'] == tuple(OTHERS)


@pytest.mark.parametrize('rule', splits.RULES)
def test_three_types_are_needed(rule):
    with pytest.raises(ValueError, match='the data has 2 types'):
        _split(OTHERS[:2], rule)


def test_no_training_type_left_proposes_the_random_rule():
    types = ['Explanation', 'Text Completion', 'Sentence Ordering']
    with pytest.raises(ValueError, match="use 'random'"):
        _split(types)
    assert all(_split(types, 'random').values())


def test_an_unknown_rule_is_an_error():
    with pytest.raises(ValueError, match=r"splits='papre'.*'random'"):
        _split(OTHERS, 'papre')


def test_every_task_goes_where_its_type_goes():
    types = ['Mathematics', *OTHERS[:3], 'Explanation', 'Sentence Ordering']
    types = types * 2
    names = [f'task{i}' for i in range(len(types))]
    found = splits.assign_splits(names, types, 'paper', 0)
    assert found.split_of_task.dtype == np.int8
    assert found.split_of_task.tolist() == [-1, 0, 0, 0, 2, 1] * 2
    ((reason, dropped),) = found.dropped.items()
    assert 'Mathematics' in reason and dropped == ('task0', 'task6')
    assert 'dropped: 2 tasks, type Mathematics' in str(found)
    assert 'train: 6 tasks of 3 types' in str(found)


def _listed():
    types = [OTHERS[i // 2] for i in range(40)] + ['Mathematics', 'Explanation']
    names = [f'task{i}' for i in range(42)]
    lists = {
        'train': names[:36],
        'test': [*names[36:39], 'task999_without_a_file'],
        'excluded': names[39:40],
    }
    return names, types, lists


def test_split_lists_decide_by_task_name():
    names, types, lists = _listed()
    found = splits.assign_splits(names, types, 'paper', 0, lists)
    ids = found.split_of_task
    assert set(ids[36:39]) == {2} and set(ids[39:]) == {splits.DROPPED}
    assert found.dropped == {
        'in the excluded list': ('task39',),
        'in no list': ('task40', 'task41'),
    }
    assert set(ids[:36]) == {0, 1}


def test_validation_is_a_tenth_of_the_listed_training_types():
    names, types, lists = _listed()
    found = splits.assign_splits(names, types, 'paper', 0, lists)
    assert len(found.types['validation']) == 2  # of 18
    assert not set(found.types['validation']) & set(found.types['train'])
    for type_, split in zip(types[:36], found.split_of_task[:36], strict=True):
        assert (split == 1) == (type_ in found.types['validation'])
    again = splits.assign_splits(names, types, 'random', 0, lists)
    assert (again.split_of_task == found.split_of_task).all()
    other = splits.assign_splits(names, types, 'paper', 5, lists)
    assert (other.split_of_task != found.split_of_task).any()


def test_split_lists_that_leave_a_split_empty_are_an_error():
    names, types, lists = _listed()
    with pytest.raises(ValueError, match='0 are in the test list'):
        splits.assign_splits(names, types, 'paper', 0, lists | {'test': ['x']})
    with pytest.raises(ValueError, match='have 1 types'):
        few = lists | {'train': names[:2]}
        splits.assign_splits(names, types, 'paper', 0, few)


SIZES = np.array([5, 1, 7, 2, 9, 3, 1, 4, 6, 8, 2, 2, 5, 6, 7, 3, 2, 9, 4, 5])


def test_clients_are_split_whole_and_without_rest():
    found = splits.split_clients(SIZES, 3, 4, seed=0)
    assert {k: len(v) for k, v in found.items()} == {
        'train': 13,
        'validation': 3,
        'test': 4,
    }
    together = np.concatenate(list(found.values()))
    assert sorted(together) == list(range(len(SIZES)))
    for clients in found.values():
        assert list(clients) == sorted(clients)
    again = splits.split_clients(SIZES, 3, 4, seed=0)
    assert all(list(again[k]) == list(found[k]) for k in found)
    other = splits.split_clients(SIZES, 3, 4, seed=1)
    assert list(other['test']) != list(found['test'])


def test_a_tenth_of_the_clients_is_held_out_where_fewer_are_asked_for():
    found = splits.split_clients(np.full(200, 5), 3, 30, seed=0)
    assert (len(found['validation']), len(found['test'])) == (20, 30)


def test_test_clients_do_not_move_with_the_validation_clients():
    tests = {
        tuple(splits.split_clients(SIZES, n, 4, seed=0)['test'])
        for n in range(1, 12)
    }
    assert len(tests) == 1


def test_a_client_with_one_instance_is_not_held_out():
    for seed in range(20):
        found = splits.split_clients(SIZES, 8, 8, seed)
        assert {1, 6} <= set(found['train'])


def test_too_few_clients_for_a_split_is_an_error():
    with pytest.raises(ValueError, match='there are 20 clients, 18 of them'):
        splits.split_clients(SIZES, 10, 9, seed=0)
    with pytest.raises(ValueError, match='at least one must be left to train'):
        splits.split_clients(np.full(4, 5), 2, 2, seed=0)
