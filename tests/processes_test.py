"""What each of several processes learns of the others, and who writes."""

import jax
from jax.experimental import multihost_utils
import numpy as np
import pytest

from fedprompt_jax.experiment import processes


@pytest.fixture
def two(monkeypatch):
    """Makes this one of two processes; the other gives what `others` says."""
    others: list = []

    def allgather(own):
        other = np.zeros_like(own)
        given = np.asarray(others.pop(0), own.dtype)
        other[: len(given)] = given
        rows = [own, other] if processes.is_first() else [other, own]
        return np.stack(rows)

    def become(number):
        monkeypatch.setattr(jax, 'process_index', lambda: number)
        return others

    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(multihost_utils, 'process_allgather', allgather)
    return become


def test_the_first_process_writes(two):
    two(0)
    assert processes.is_first()
    two(1)
    assert not processes.is_first()


@pytest.mark.parametrize('number', [0, 1])
def test_a_flag_of_any_process_holds_for_all(two, number):
    others = two(number)
    for own, other in ((0, 0), (0, 1), (1, 0), (1, 1)):
        others.append([other])
        assert processes.any_of(bool(own)) == bool(own or other)


@pytest.mark.parametrize('number', [0, 1])
def test_texts_come_in_the_order_of_the_processes(two, number):
    """Whole, though they differ in length and in bytes a letter."""
    for own, other in (('a', 'bärlich'), ('lang und breit', 'ö'), ('', 'x')):
        data = other.encode()
        two(number).extend([[len(data)], list(data)])
        found = processes.texts(own)
        assert found == ([own, other], [other, own])[number]


def test_a_fault_of_the_first_process_reaches_all(two):
    others = two(1)
    fault = b'"no such data"'
    others.extend([[len(fault)], list(fault)])
    done: list = []
    with pytest.raises(ValueError, match='no such data'):
        processes.first_alone(lambda: done.append(1))
    assert not done  # it is the first one's work
    others = two(0)
    others.extend([[2], list(b'""')])
    processes.first_alone(lambda: done.append(1))
    assert done == [1]

    def fails():
        raise OSError('disk full')

    others.extend([[2], list(b'""')])
    with pytest.raises(ValueError, match='disk full'):
        processes.first_alone(fails)


def test_a_folder_of_its_own_is_no_shared_one(two, tmp_path):
    others = two(0)
    others.extend([[5], [0], [0]])  # the other sees the mark
    assert processes.share(tmp_path)
    others.extend([[5], [0], [1]])  # and now it does not
    assert not processes.share(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_mark_that_does_not_appear(two, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, 'PATIENCE', 0.0)
    others = two(1)
    others.extend([[5], [0], [0]])
    assert not processes.share(tmp_path)
    (tmp_path / '.shared-5').touch()
    others.extend([[5], [0], [0]])
    assert processes.share(tmp_path)


def test_a_process_alone_asks_nobody():
    done: list = []
    processes.first_alone(lambda: done.append(1))
    assert done == [1] and processes.texts('a') == ['a']
    assert processes.is_first()


def test_processes_find_each_other_as_the_flags_say(monkeypatch):
    calls: list = []
    monkeypatch.setattr(
        jax.distributed, 'initialize', lambda *a, **k: calls.append((a, k))
    )
    found = processes.from_flags(False, 'host:1', 3, 2)
    assert found is not None
    found.connect()
    ((args, kwargs),) = calls
    assert args == ('host:1', 3, 2)
    assert kwargs == {'heartbeat_timeout_seconds': processes.HEARTBEAT}
