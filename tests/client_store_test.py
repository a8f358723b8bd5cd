"""Laws of what clients keep: rows, files, memory, and damage."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.federated import client_rows
from fedprompt_jax.federated.client_store import ClientStore

# A tree with every kind of leaf that an algorithm may keep.
LIKE = {
    'prompt': jax.ShapeDtypeStruct((3, 2), jnp.float32),
    'half': jax.ShapeDtypeStruct((5,), jnp.bfloat16),
    'count': jax.ShapeDtypeStruct((), jnp.int32),
    'flag': jax.ShapeDtypeStruct((1,), jnp.bool_),
}
ROW = 3 * 2 * 4 + 5 * 2 + 4 + 1
NEVER = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), LIKE)
ROOM = [1e9, 3 * ROW, 0]  # bytes of memory: all rows, three of them, none


def bank(*values):
    """Rows that hold these numbers everywhere, leaves [C, ...]."""

    def leaf(x):
        shaped = np.array(values, np.float64).reshape(-1, *[1] * len(x.shape))
        return np.broadcast_to(shaped, (len(values), *x.shape)).astype(x.dtype)

    return jax.tree.map(leaf, LIKE)


def numbers(store, clients):
    """The number in the rows of these clients."""
    taken = store.take(np.array(clients), NEVER)
    expected = bank(*taken['count'].tolist())
    jax.tree.map(np.testing.assert_array_equal, taken, expected)
    return taken['count'].tolist()


def put(store, **rows):
    """put(store, c7=1) keeps 1 at client 7."""
    clients = np.array([int(key[1:]) for key in rows])
    store.put(clients, bank(*rows.values()))


@pytest.mark.parametrize('memory', ROOM)
def test_a_client_keeps_what_was_last_put_and_others_the_default(memory):
    store = ClientStore(LIKE, memory)
    put(store, c5=1, c2=2, c9=3)
    put(store, c2=4, c11=5)
    assert numbers(store, [2, 5, 8, 9, 11]) == [4, 1, 0, 3, 5]
    assert len(store) == 4 and store.row_bytes == ROW
    assert 11 in store and 5 in store and 8 not in store


def test_every_bit_of_a_float_is_kept():
    store = ClientStore(LIKE, 1e9)
    rows = bank(0, 0)
    rows['prompt'] = np.frombuffer(
        np.random.default_rng(0).bytes(2 * 6 * 4), np.float32
    ).reshape(2, 3, 2)
    store.put(np.array([3, 4]), rows)
    taken = store.take(np.array([4, 3]), NEVER)['prompt']
    assert taken[::-1].tobytes() == rows['prompt'].tobytes()


def test_what_is_put_is_a_copy():
    store, rows = ClientStore(LIKE, 1e9), bank(1)
    store.put(np.array([0]), rows)
    rows['prompt'][:] = 9
    taken = store.take(np.array([0]), NEVER)
    taken['count'][:] = 9
    assert numbers(store, [0]) == [1]


def test_a_row_does_not_hold_its_cohort_in_memory():
    store = ClientStore(LIKE, 1e9)
    store.put(np.arange(50), bank(*range(50)))
    assert all(row.base is None for row in store._rows.values())


@pytest.mark.parametrize('memory', ROOM)
def test_what_is_saved_is_loaded_and_later_changes_are_not(memory, tmp_path):
    store = ClientStore(LIKE, memory)
    put(store, c1=1, c2=2, c3=3)
    first = store.save(tmp_path, '1')
    put(store, c2=5, c4=4)
    second = store.save(tmp_path, '2')
    put(store, c1=7)  # never saved
    for files, expected in (
        (first, [1, 2, 3, 0]),
        (second, [1, 5, 3, 4]),
        ([], [0, 0, 0, 0]),
    ):
        restored = ClientStore(LIKE, memory)
        restored.load(tmp_path, files)
        assert numbers(restored, [1, 2, 3, 4]) == expected
    assert numbers(store, [1, 2, 3, 4]) == [7, 5, 3, 4]


def test_a_save_writes_what_changed_and_not_the_population(tmp_path):
    store = ClientStore(LIKE, 1e9)
    store.put(np.arange(100), bank(*range(100)))
    store.save(tmp_path, '1')
    put(store, c7=1, c90=2)
    store.save(tmp_path, '2')
    assert client_rows.ClientRows(tmp_path, '2').clients.tolist() == [7, 90]
    store.save(tmp_path, '3')
    assert not list(tmp_path.glob('3*'))


@pytest.mark.parametrize('memory', ROOM)
def test_files_that_are_hardly_in_use_are_written_again(memory, tmp_path):
    """Else a run of a few clients would keep a file of every round."""
    store = ClientStore(LIKE, memory)
    store.put(np.arange(5), bank(*range(5)))
    store.save(tmp_path, '00')
    for round in range(1, 12):
        store.put(np.arange(4), bank(*[round] * 4))
        files = store.save(tmp_path, f'{round:02}')
    # Client 4 alone was left in the first file: it has moved.
    assert len(files) <= 2 and '00' not in [f['name'] for f in files]
    restored = ClientStore(LIKE, memory)
    restored.load(tmp_path, files)
    assert numbers(restored, range(5)) == [11] * 4 + [4]


def test_memory_holds_as_many_rows_as_its_budget(tmp_path):
    store = ClientStore(LIKE, 3 * ROW)
    store.put(np.arange(50), bank(*range(50)))
    assert len(store._rows) <= 3
    assert numbers(store, range(50)) == [*range(50)]
    files = store.save(tmp_path, '1')
    assert len(store._rows) <= 3
    restored = ClientStore(LIKE, 3 * ROW)
    restored.load(tmp_path, files)
    assert numbers(restored, range(50)) == [*range(50)]


def test_temporary_files_go_when_their_rows_are_saved_or_replaced(tmp_path):
    """Else a long run fills the disk, though its clients are few."""
    store = ClientStore(LIKE, 0)
    temporary = Path(store._temporary.name)
    for value in range(1, 6):
        put(store, c1=value, c2=value)
        assert len(list(temporary.iterdir())) == len(client_rows.PARTS)
    store.save(tmp_path, '1')
    assert list(temporary.iterdir()) == []
    assert numbers(store, [1, 2, 3]) == [5, 5, 0]


@pytest.mark.parametrize('part', client_rows.PARTS)
@pytest.mark.parametrize('damage', ['removed', 'changed', 'cut'])
def test_a_damaged_file_has_a_fault(damage, part, tmp_path):
    store = ClientStore(LIKE, 1e9)
    put(store, c1=1, c2=2)
    (entry,) = store.save(tmp_path, '1')
    assert client_rows.fault(tmp_path, entry['sha256']) == ''
    path = tmp_path / f'1.{part}.npy'
    if damage == 'removed':
        path.unlink()
    elif damage == 'changed':
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    else:
        os.truncate(path, path.stat().st_size - 1)
    assert path.name in client_rows.fault(tmp_path, entry['sha256'])


def test_rows_of_another_size_are_refused(tmp_path):
    store = ClientStore(LIKE, 1e9)
    put(store, c1=1)
    files = store.save(tmp_path, '1')
    other = ClientStore({'prompt': LIKE['prompt']}, 1e9)
    with pytest.raises(ValueError, match=f'keeps {ROW} bytes there and 24 now'):
        other.load(tmp_path, files)
