"""Laws of who is sampled, on which examples, and of the token store."""

import dataclasses
import itertools

import numpy as np
import pytest

from fedprompt_jax.data import sampling, tokenizing
from fedprompt_jax.data.sampling import Pooled, epoch_steps, sample_cohort
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tokenizing import Source, Template
from tests.conftest import make_task

POPULATION = [np.arange(0, 5), np.arange(5, 9), np.arange(9, 16)]
POPULATION += [np.array([16]), np.array([17])]


def cohort(store, population=POPULATION, seed=0, round=0, **sizes):
    sizes = {'size': 3, 'num_steps': 2, 'batch_size': 2} | sizes
    return sample_cohort(store, population, seed=seed, round=round, **sizes)


def tokens(cohort):
    """All of a cohort that is random."""
    steps = [
        [(e.owner, tuple(e.query), tuple(e.target)) for e in s]
        for s in cohort.steps
    ]
    return list(cohort.clients), steps


@pytest.fixture(scope='module')
def instance_of(store):
    """Query tokens -> the instance: all queries of the store differ."""
    found = {tuple(store.query(i)): i for i in range(len(store))}
    assert len(found) == len(store)
    return lambda e: found[tuple(e.query)]


def test_a_cohort_is_without_replacement_and_of_the_asked_sizes(store):
    for round in range(20):
        c = cohort(store, round=round)
        assert len(set(c.clients)) == 3
        sizes = [len(POPULATION[i]) for i in c.clients]
        np.testing.assert_array_equal(c.num_examples, sizes)
        assert len(c.steps) == 2
        for step in c.steps:
            owners = [e.owner for e in step]
            np.testing.assert_array_equal(np.bincount(owners), [2, 2, 2])


def test_every_client_is_sampled_at_some_time(store):
    seen = {int(i) for r in range(30) for i in cohort(store, round=r).clients}
    assert seen == set(range(len(POPULATION)))


def test_owners_are_given_their_own_instances(store, instance_of):
    c = cohort(store, size=5)
    for e in (e for step in c.steps for e in step):
        assert instance_of(e) in POPULATION[c.clients[e.owner]]


def test_a_cohort_is_a_function_of_seed_and_round(store):
    first = tokens(cohort(store, seed=3, round=7))
    assert tokens(cohort(store, seed=3, round=7)) == first
    assert tokens(cohort(store, seed=3, round=8)) != first
    assert tokens(cohort(store, seed=4, round=7)) != first


def test_the_clients_of_every_round_depend_on_the_seed_and_the_round(store):
    """Three of a hundred: two draws are the same once in 160,000."""
    many = [np.array([i % len(store)]) for i in range(100)]
    drawn = {
        (seed, round): tuple(cohort(store, many, seed, round).clients)
        for seed in range(4)
        for round in range(10)
    }
    assert len(set(drawn.values())) == len(drawn)


def test_a_pass_is_without_replacement_and_passes_differ():
    own = np.arange(10, 30)
    stream = sampling.shuffled_passes(own, 0, 60, 0, 1, 2)
    passes = stream.reshape(3, 20)
    for one in passes:
        np.testing.assert_array_equal(np.sort(one), own)
    assert len({tuple(p) for p in passes}) == 3
    assert len(sampling.shuffled_passes(own, 0, 7, 0, 1, 2)) == 7


def test_a_pass_is_a_function_of_seed_round_and_client():
    """Else seeds, or clients of one size, are shuffled alike."""

    def order(seed, *name):
        return tuple(
            sampling.shuffled_passes(np.arange(50), 0, 50, seed, *name)
        )

    names = [(0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3)]
    assert order(*names[0]) == order(*names[0])
    assert len({order(*name) for name in names}) == len(names)


@pytest.mark.parametrize('start', [0, 3, 19, 20, 21, 47])
@pytest.mark.parametrize('count', [1, 20, 33])
def test_a_stream_can_be_entered_anywhere(start, count):
    own = np.arange(20)
    whole = sampling.shuffled_passes(own, 0, 100, 0, 1)
    part = sampling.shuffled_passes(own, start, count, 0, 1)
    np.testing.assert_array_equal(part, whole[start : start + count])


def test_a_client_shuffles_anew_each_round(store, instance_of):
    def order(round):
        c = cohort(store, [np.arange(19), np.arange(19)], size=2, round=round)
        return [instance_of(e) for s in c.steps for e in s if e.owner == 0]

    assert order(0) != order(1)


def test_pooled_data_goes_on_where_the_last_round_ended(store, instance_of):
    """Nine rounds of 6 examples are three passes over 18 instances."""
    pooled = Pooled(POPULATION)
    assert len(pooled) == 1 and len(pooled[0]) == 18
    seen = [
        instance_of(e)
        for round in range(9)
        for step in cohort(
            store, pooled, size=1, num_steps=2, batch_size=3, round=round
        ).steps
        for e in step
    ]
    passes = np.array(seen).reshape(3, 18)
    for one in passes:
        np.testing.assert_array_equal(np.sort(one), np.arange(18))
    assert len({tuple(p) for p in passes}) == 3


def epoch(store, epoch=0, seed=0, instances=POPULATION, clients=range(5)):
    return list(
        epoch_steps(
            store,
            instances,
            clients,
            batch_size=2,
            seed=seed,
            epoch=epoch,
        )
    )


def test_an_epoch_sees_every_instance_once(store, instance_of):
    steps = epoch(store)
    assert len(steps) == 4  # the largest client has 7
    seen = [(e.owner, instance_of(e)) for s in steps for e in s]
    expected = [(c, i) for c, own in enumerate(POPULATION) for i in own]
    assert sorted(seen) == expected
    for step in steps:
        assert max(np.bincount([e.owner for e in step])) <= 2
    assert {e.owner for e in steps[-1]} == {2}


def test_an_epoch_is_a_function_of_seed_epoch_and_client(store):
    def order(*args, **kwargs):
        return [tuple(e.query) for s in epoch(*args, **kwargs) for e in s]

    first = order(store)
    assert order(store) == first
    assert order(store, epoch=1) != first
    assert order(store, seed=1) != first
    # Clients with as many instances are shuffled each its own way.
    twice = [np.arange(9)] * 2
    steps = epoch(store, instances=twice, clients=[0, 1])
    mine, other = (
        [tuple(e.query) for s in steps for e in s if e.owner == c]
        for c in (0, 1)
    )
    assert mine != other
    # Other clients beside it do not change a client's order.
    alone = order(store, instances=POPULATION[2:3], clients=[2])
    beside = [tuple(e.query) for s in epoch(store) for e in s if e.owner == 2]
    assert alone == beside


# The token store.


class Counting:
    """A data set that counts how often it is read."""

    def __init__(self, tasks, fingerprint='data'):
        self.reads = 0
        self.source = Source('counted', fingerprint, lambda: self._read(tasks))

    def _read(self, tasks):
        self.reads += 1
        yield from tasks


TEMPLATE = Template('{input}', '\n', 64, 16)


def test_a_second_open_reads_and_tokenises_nothing(lm, tmp_path):
    class Once:
        eos_id, fingerprint = lm.tokenizer.eos_id, lm.tokenizer.fingerprint
        mask_id = None
        calls = 0

        def with_special_tokens(self, text):
            return lm.tokenizer.with_special_tokens(text)

        def encode(self, texts, bos):
            Once.calls += 1
            return lm.tokenizer.encode(texts, bos)

    data = Counting([make_task()])
    first = open_store(data.source, Once(), TEMPLATE, tmp_path)
    calls = Once.calls
    second = open_store(data.source, Once(), TEMPLATE, tmp_path)
    assert data.reads == 1 and Once.calls == calls
    assert first.fingerprint == second.fingerprint
    for i in range(len(first)):
        np.testing.assert_array_equal(first.query(i), second.query(i))
        assert first.record(i) == second.record(i)


def test_the_fingerprint_follows_data_tokenizer_and_template(lm, tmp_path):
    def fingerprint(data='data', tokenizer=lm.tokenizer, **template):
        return open_store(
            Counting([make_task()], data).source,
            tokenizer,
            dataclasses.replace(TEMPLATE, **template),
            tmp_path,
        ).fingerprint

    other = dataclasses.replace(lm.tokenizer, eos_ids=(2, 3))
    changed = [
        fingerprint(),
        fingerprint(data='other'),
        fingerprint(tokenizer=other),
        fingerprint(text='{definition} {input}'),
        fingerprint(separator=' '),
        fingerprint(max_query=63),
        fingerprint(max_target=15),
    ]
    assert len(set(changed)) == len(changed)
    assert fingerprint() == changed[0]


def test_the_store_has_the_words_of_its_instances(store, lm):
    task = make_task()
    for i, instance in enumerate(task.instances):
        decode = lm.tokenizer.decode
        assert decode(store.query(i)) == instance.input + '\n'
        assert decode(store.target(i)) == instance.outputs[0]
        assert store.target(i)[-1] == lm.tokenizer.eos_id
        assert store.record(i) == {
            'id': instance.id,
            'input': instance.input,
            'outputs': list(instance.outputs),
        }
    assert [t['num_instances'] for t in store.tasks] == [12, 7]
    np.testing.assert_array_equal(np.bincount(store.task_of), [12, 7])
    assert store.truncated == {'queries': 0, 'targets': 0}


def test_a_template_has_each_field_of_its_instance(lm, tmp_path):
    """And a field that a text spells out is text."""
    task = make_task(count=1)
    texts = {'input': 'what is {pair}?', 'pair': 'the {input}'}
    (instance,) = (dataclasses.replace(x, **texts) for x in task.instances)
    task = dataclasses.replace(task, instances=(instance,))
    template = Template('{definition} A: {input} B: {pair}', '\n', 256, 16)
    store = open_store(
        Counting([task]).source, lm.tokenizer, template, tmp_path
    )
    assert lm.tokenizer.decode(store.query(0)) == (
        'Answer the question. A: what is {pair}? B: the {input}\n'
    )


def test_a_long_query_loses_its_end_and_keeps_its_separator(lm, tmp_path):
    task = make_task()
    template = Template('{input}', ' ->\n', 12, 3)
    store = open_store(
        Counting([task]).source, lm.tokenizer, template, tmp_path
    )
    (separator,) = lm.tokenizer.encode_batch([' ->\n'], False)
    queries = targets = 0
    for i, instance in enumerate(task.instances):
        query, target = store.query(i), store.target(i)
        (whole,) = lm.tokenizer.encode_batch([instance.input], True)
        n = min(len(whole), 12 - len(separator))
        assert list(query) == whole[:n] + separator
        queries += len(whole) > n
        (answer,) = lm.tokenizer.encode_batch([instance.outputs[0]], False)
        answer.append(lm.tokenizer.eos_id)
        assert list(target) == answer[:3]
        targets += len(answer) > 3
    assert queries and targets
    assert store.truncated == {'queries': queries, 'targets': targets}


def test_a_text_that_just_fits_is_not_truncated(store, lm, tmp_path):
    longest = store.query_lengths.max(), store.target_lengths.max()
    for query, target in itertools.product((0, 1), (0, 1)):
        template = Template(
            '{input}', '\n', int(longest[0] - query), int(longest[1] - target)
        )
        tasks = [make_task(), make_task('task2_lakes', 7)]
        cut = open_store(
            Counting(tasks).source, lm.tokenizer, template, tmp_path
        )
        assert cut.truncated == {
            'queries': query * (store.query_lengths == longest[0]).sum(),
            'targets': target * (store.target_lengths == longest[1]).sum(),
        }


def test_a_separator_without_room_is_an_error(lm, tmp_path):
    (separator,) = lm.tokenizer.encode_batch([' ->\n'], False)
    room = len(separator)
    source = Counting([make_task()]).source
    for most in (room - 1, room):
        template = Template('{input}', ' ->\n', most, 3)
        with pytest.raises(ValueError, match=f'max_query={most} must be above'):
            open_store(source, lm.tokenizer, template, tmp_path)
    template = Template('{input}', ' ->\n', room + 1, 3)
    store = open_store(source, lm.tokenizer, template, tmp_path)
    assert {*store.query_lengths} == {room + 1}


def test_an_empty_query_is_an_error_that_names_its_instance(lm, tmp_path):
    task = make_task('task9_empty', 3)
    instances = (
        *task.instances[:2],
        dataclasses.replace(task.instances[2], input=''),
    )
    task = dataclasses.replace(task, instances=instances)
    template = dataclasses.replace(TEMPLATE, separator='')
    with pytest.raises(ValueError, match='task9_empty-2: the query has no'):
        open_store(Counting([task]).source, lm.tokenizer, template, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError])
def test_a_build_that_is_killed_leaves_nothing(error, lm, tmp_path):
    def tasks():
        yield make_task()
        raise error

    source = Source('killed', 'data', tasks)
    with pytest.raises(error):
        open_store(source, lm.tokenizer, TEMPLATE, tmp_path)
    assert not list(tmp_path.iterdir())
    store = open_store(
        Counting([make_task()]).source, lm.tokenizer, TEMPLATE, tmp_path
    )
    assert len(store) == 12


def test_of_two_builders_the_first_wins(lm, tmp_path):
    """Another process finishes the same store while this one builds."""
    data = Counting([make_task()])
    other = open_store(data.source, lm.tokenizer, TEMPLATE, tmp_path)
    (path,) = tmp_path.iterdir()
    tokenizing.write(data.source, lm.tokenizer, TEMPLATE, 'causal_lm', path)
    assert list(tmp_path.iterdir()) == [path]
    again = open_store(data.source, lm.tokenizer, TEMPLATE, tmp_path)
    assert len(again) == len(other)


def test_local_epochs_read_each_instance_once_an_epoch(store, instance_of):
    c = cohort(store, size=5, num_steps=0, num_epochs=2, batch_size=2)
    seen: dict[int, list[int]] = {}
    for step in c.steps:
        owners = [e.owner for e in step]
        assert max(np.bincount(owners)) <= 2
        for e in step:
            seen.setdefault(e.owner, []).append(instance_of(e))
    for owner, client in enumerate(c.clients):
        expected = np.sort(np.tile(POPULATION[client], 2))
        assert sorted(seen[owner]) == expected.tolist()
        first = seen[owner][: len(POPULATION[client])]
        assert sorted(first) == POPULATION[client].tolist()
    assert len(c.steps) == 2 * 4  # the largest client has 7 instances


def test_local_epochs_are_drawn_by_round(store):
    sizes = {'size': 5, 'num_steps': 0, 'num_epochs': 2}
    first = tokens(cohort(store, **sizes))
    assert first == tokens(cohort(store, **sizes))
    assert first != tokens(cohort(store, round=1, **sizes))
    assert first != tokens(cohort(store, seed=1, **sizes))
