"""What clients keep in a whole run: killed anywhere, damaged, in files."""

import gc
import types

import jax.numpy as jnp
import numpy as np
import pytest

from configs import scaffold
from fedprompt_jax.experiment import checkpoint, integrity
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.federated import client_rows, client_store
from fedprompt_jax.federated.client_rows import ClientRows
from fedprompt_jax.mesh import fetch
from fedprompt_jax.report import page
from fedprompt_jax.study import points
from fedprompt_jax.study import runs as study_runs
from fedprompt_jax.study.outputs import Study
from tests import main_test, quadratics, recorders
from tests.exhaustive import beyond, exhaustive
from tests.tiny_run import Runs, info, results

SHORT = {
    'rounds': 5,
    'clients_per_round': 2,
    'checkpoint__every': 2,
    'validation__every': 0,
    'personalization__epochs': 1,
}


class Killed(BaseException):
    """In place of a signal that no process survives."""


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'), scaffold)


@pytest.fixture(scope='module')
def whole(runs):
    """The folder of an uninterrupted run."""
    path = runs.folder / 'whole'
    runs.start(path, **SHORT)
    return path


def rows(path) -> dict[int, bytes]:
    """What every client keeps at the last checkpoint."""
    stage = path / 'checkpoints' / 'train'
    last = next(iter(checkpoint.folders(stage).values()))
    kept = {}
    for entry in checkpoint.read_notes(last)['clients']:
        file = ClientRows(path / 'checkpoints' / 'clients', entry['name'])
        for client, row in zip(file.clients.tolist(), file.rows, strict=True):
            kept[client] = row.tobytes()
    return kept


def kill(monkeypatch, module, name: str, calls: int, after: bool) -> None:
    """Has a function raise Killed at its nth call, before or after its work."""
    function, left = getattr(module, name), iter(range(calls - 1))

    def call(*args, **kwargs):
        if next(left, None) is not None:
            return function(*args, **kwargs)
        if after:
            function(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(module, name, call)


def test_clients_of_later_rounds_read_what_earlier_ones_kept(whole):
    """Else nothing below is about anything."""
    lines = [m for m in main_test.metrics(whole) if m['stage'] == 'train']
    assert len(lines) == 5
    assert lines[0]['control_norm'] > 0
    each = sum(map(len, rows(whole).values())) / len(rows(whole))
    prompt = 3 * 32 * 4
    assert each == prompt
    assert all(
        x['bytes_down'] == x['bytes_up'] == 2 * 2 * prompt for x in lines
    )
    assert 2 < len(rows(whole)) <= 10
    assert any(
        np.frombuffer(row, np.float32).any() for row in rows(whole).values()
    )


MOMENTS = {
    'before rows are written': (client_rows, 'write', 2, False),
    'while rows are written': (np.lib.format, 'open_memmap', 2, True),
    'between the two files': (np, 'save', 2, False),
    'after rows are written': (client_rows, 'write', 2, True),
    'while a checkpoint is': (integrity, 'seal', 3, False),
    'after a checkpoint': (integrity, 'seal', 3, True),
    'after a round': (client_store.ClientStore, 'put', 3, True),
}


# Those that leave different files behind.
SUITE = (
    'while rows are written', 'between the two files', 'after rows are written',
    'after a checkpoint',
)  # fmt: skip


@pytest.mark.parametrize('moment', beyond(SUITE, MOMENTS))
def test_a_run_killed_at_any_moment_ends_the_same(
    moment, runs, whole, monkeypatch, tmp_path
):
    path = tmp_path / 'run'
    with monkeypatch.context() as patch:
        kill(patch, *MOMENTS[moment])
        with pytest.raises(Killed):
            runs.start(path, **SHORT)
    runs.start(path, **SHORT)
    assert results(path) == results(whole)
    assert rows(path) == rows(whole)
    assert [p.name for p in (path / 'checkpoints/clients').glob('.*')] == []


@pytest.mark.parametrize('memory_gb', [0.0, 1e-6])
def test_memory_changes_no_result(memory_gb, runs, whole, tmp_path):
    path = tmp_path / 'run'
    runs.start(path, **SHORT, stop=3, client_store__memory_gb=memory_gb)
    runs.start(path, **SHORT)
    assert results(path) == results(whole)
    assert rows(path) == rows(whole)


def test_a_row_that_turns_non_finite_is_not_kept(tmp_path):
    algorithm = quadratics.make('local', None, quadratics.start(0.5))
    experiment = types.SimpleNamespace(
        algorithm=algorithm,
        devices=recorders.Devices(),
        config=quadratics.config_of('local'),
    )
    clients, ids = Clients(experiment, tmp_path), np.array([3, 8])
    before = clients.take(algorithm.init(), ids)
    after = {'prompt': jnp.array([[[1.5]], [[jnp.nan]]])}
    clients.put(ids, fetch(clients.kept(before, after)))
    kept = clients.take(algorithm.init(), ids)['prompt']
    assert np.ravel(kept).tolist() == [1.5, 0.5]


def test_a_damaged_file_of_rows_sends_the_run_back(runs, whole, tmp_path):
    """To a checkpoint that does not need it; the run ends the same."""
    path = tmp_path / 'run'
    runs.start(path, **SHORT, stop=4)  # after round 4, which is saved
    folder = path / 'checkpoints' / 'clients'
    latest = max(folder.glob('*.rows.npy'))
    content = bytearray(latest.read_bytes())
    content[-1] ^= 1
    latest.write_bytes(content)
    runs.start(path, **SHORT)
    (warning,) = (w for w in info(path)['warnings'] if 'damaged' in w)
    assert latest.name in warning and 'resumes after round 2' in warning
    assert results(path) == results(whole)
    assert rows(path) == rows(whole)


def test_files_that_no_checkpoint_names_are_removed(whole):
    named = {
        name
        for folder in checkpoint.folders(
            whole / 'checkpoints' / 'train'
        ).values()
        for entry in checkpoint.read_notes(folder)['clients']
        for name in entry['sha256']
    }
    folder = whole / 'checkpoints' / 'clients'
    assert {p.name for p in folder.iterdir()} == named


@exhaustive
def test_runs_of_one_bank_keep_what_they_would_keep_alone(runs, monkeypatch):
    """Each run has a store and files of its own."""
    monkeypatch.setattr(page, 'write', lambda *_: None)
    rates, folder = (0.2, 0.5), runs.folder / 'bank'
    found = [
        points.Point(
            f'{rate}', {}, runs.config(**SHORT, client__learning_rate=rate)
        )
        for rate in rates
    ]
    gc.collect()  # a run that was killed has left its lock
    study_runs.run_all(
        found, folder, runs.folder / 'cache', 2, Study(folder, 'x')
    )
    kept = []
    for rate in rates:
        alone = runs.folder / f'alone {rate}'
        runs.start(alone, **SHORT, client__learning_rate=rate)
        one, other = rows(alone), rows(folder / f'{rate}')
        assert one.keys() == other.keys()
        for client, row in one.items():
            expected = np.frombuffer(row, np.float32)
            got = np.frombuffer(other[client], np.float32)
            np.testing.assert_allclose(got, expected, rtol=1e-2, atol=1e-3)
        kept.append(one)
    assert kept[0] != kept[1]


def test_an_algorithm_that_keeps_nothing_leaves_nothing(runs, tmp_path):
    path = tmp_path / 'run'
    runs.start(path, **SHORT | {'rounds': 1}, algorithm='fedavg')
    assert not (path / 'checkpoints' / 'clients').exists()
    stage = path / 'checkpoints' / 'train'
    for folder in checkpoint.folders(stage).values():
        assert 'clients' not in checkpoint.read_notes(folder)


def test_more_rounds_continue_with_what_clients_kept(runs, whole, tmp_path):
    path = tmp_path / 'run'
    runs.start(path, **SHORT | {'rounds': 3})
    # As a kill leaves it between the rows and their checkpoint.
    orphan = path / 'checkpoints' / 'clients' / '00000009.rows.npy'
    orphan.write_bytes(b'')
    runs.start(path, **SHORT)
    assert rows(path) == rows(whole)
    assert not orphan.exists()
