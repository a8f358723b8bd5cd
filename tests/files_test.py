"""A folder appears whole or not at all, and nothing else stays."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from fedprompt_jax import files


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_folder_appears_when_it_is_done(tmp_path):
    out = tmp_path / 'cache' / 'out'
    with files.whole_folder(out) as folder:
        (folder / 'mark').write_text('mine')
        assert not out.exists()
    assert (out / 'mark').read_text() == 'mine'
    assert names(out.parent) == ['out']


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with files.whole_folder(tmp_path / 'out') as folder:
            (folder / 'mark').touch()
            _ = 1 / 0
    assert not names(tmp_path)


def test_the_faster_of_two_stays(tmp_path):
    out = tmp_path / 'out'
    with files.whole_folder(out) as slow:
        (slow / 'mark').write_text('slow')
        with files.whole_folder(out) as fast:
            (fast / 'mark').write_text('fast')
    assert (out / 'mark').read_text() == 'fast'
    assert names(tmp_path) == ['out']


def test_what_the_killed_left_is_swept_and_no_other(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', 'import os; print(os.getpid())'],
        capture_output=True,
        check=True,
    )
    host = socket.gethostname()
    dead = tmp_path / f'.building-{host}-{int(done.stdout)}-0'
    alive = tmp_path / f'.building-{host}-{os.getppid()}-0'
    elsewhere = tmp_path / '.building-elsewhere-1-0'
    for folder in (dead, alive, elsewhere):
        folder.mkdir()
    with files.whole_folder(tmp_path / 'out'):
        pass
    assert names(tmp_path) == sorted([alive.name, elsewhere.name, 'out'])


def test_a_fingerprint_is_of_names_contents_and_order(tmp_path):
    a, b = tmp_path / 'a', tmp_path / 'b'
    a.write_text('one')
    b.write_text('two')
    prints = [files.fingerprint(paths) for paths in ([a, b], [b, a], [a])]
    a.write_text('two')
    b.write_text('one')
    prints.append(files.fingerprint([a, b]))
    prints.append(files.fingerprint([b, a]))
    assert len(set(prints)) == 5


def test_visible_files_are_in_the_order_of_their_names(tmp_path):
    """Not in that of the disk, which differs from machine to machine."""
    for i in np.random.default_rng(0).permutation(40):
        (tmp_path / f'{i:02d}.csv').touch()
    found = [path.name for path in files.visible(tmp_path, '*.csv')]
    assert found == [f'{i:02d}.csv' for i in range(40)]
