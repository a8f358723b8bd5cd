"""What a run says about itself: its costs, its seeds, and whose they are."""

import json
import types

import jax
import pytest

from fedprompt_jax.experiment import run
from fedprompt_jax.experiment.compilations import Compilations
from tests import recorders, tiny_run

COMPILED = '/jax/core/compile/backend_compile_duration'


def test_what_is_compiled_is_counted_and_timed():
    found = Compilations()
    for event, seconds in ((COMPILED, 1.5), ('/other', 9.0), (COMPILED, 2.0)):
        jax.monitoring.record_event_duration_secs(event, seconds)
    assert (found.count, found.seconds) == (2, 3.5)


def test_the_peak_of_memory_is_in_gigabytes():
    with open('/proc/self/status') as file:
        (line,) = [x for x in file if x.startswith('VmHWM')]
    kib = int(line.split()[1])
    assert run._peak_memory() == pytest.approx(kib * 1024 / 1e9, rel=0.05)


def test_seconds_of_a_bank_are_not_said_to_be_one_run_s():
    together = types.SimpleNamespace(size=3)
    compilations = types.SimpleNamespace(count=2, seconds=1.26)
    assert run._used(compilations, together) == {'together': 3}
    (warning,) = run._shared(together)
    assert 'One of 3 runs' in warning
    alone = run._used(compilations, None)
    assert alone['compilations'] == {'count': 2, 'seconds': 1.3}
    assert run._shared(None) == []


def test_other_row_shapes_are_told():
    assert run._reshaped(None, 'a') == run._reshaped('a', 'a') == []
    (warning,) = run._reshaped('a', 'b')
    assert '(a)' in warning


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
    """run.json of a run that was stopped and resumed, at both moments."""
    folder = tmp_path_factory.mktemp('stopped')
    runs, found = tiny_run.Runs(folder), []
    with recorders.in_place():
        for stop in (1, 0):
            runs.start(folder / 'run', stop, seed=3)
            found.append(tiny_run.info(folder / 'run'))
    return found


def test_a_run_says_with_which_seed_and_model_it_was_made(stopped):
    info = stopped[1]
    assert info['seed'] == 3
    assert info['parameters']['trained'] == 3 * 32  # a prompt of 3 tokens
    assert info['selection'] == 'rouge_l' and info['processes'] == 1
    assert set(info['fingerprints']) == {'tokens', 'clients', 'weights'}
    assert all(info['fingerprints'].values())
    assert info['versions']['jax'] == jax.__version__


def test_a_run_remembers_its_first_start(stopped):
    first, last = stopped
    assert not first.get('complete') and last['complete']
    assert last['started'] == first['started']
    assert len(first['starts']) == 1 and len(last['starts']) == 2
    assert last['starts'][0] == first['starts'][0]
    assert 'finished' not in first and last['finished'] >= last['started']
    json.dumps(last)
