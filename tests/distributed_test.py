"""Two processes end as one does, though one was killed and both stopped."""

import csv
import os
from pathlib import Path
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax import mesh as mesh_lib
from fedprompt_jax.experiment import preemption, processes
from tests import main_test
from tests.exhaustive import exhaustive

ROOT = Path(__file__).parents[1]
# Its clients keep something, and so does the server.
CONFIG = 'scaffold'
FLAGS = [
    '--config.mesh.data=2',
    '--config.rounds=4',
    '--config.validation.every=0',
    '--config.personalization.epochs=2',
]


def environment(devices: int) -> dict[str, str]:
    return main_test.environment() | {
        'JAX_NUM_CPU_DEVICES': str(devices),
        'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
    }


def free_port() -> int:
    with socket.socket() as free:
        free.bind(('localhost', 0))
        return free.getsockname()[1]


def start(commands) -> list[subprocess.Popen]:
    """A process of each, with a device of its own."""
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(devices=1),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]


class Pair:
    """Two processes of one run, on a device each."""

    def __init__(self, project) -> None:
        self.folder = project.folder / 'two'
        self.round = self.last_round()
        several = [
            f'--coordinator=localhost:{free_port()}',
            '--num_processes=2',
        ]
        self.processes = start(
            project.command(
                'two', *FLAGS, *several, f'--process_id={i}', config=CONFIG
            )
            for i in range(2)
        )

    def last_round(self) -> int:
        """The last round in metrics.jsonl."""
        path = self.folder / 'metrics.jsonl'
        text = path.read_text() if path.exists() else ''
        found = re.findall(r'"train", "round": (\d+)', text)
        return int(found[-1]) if found else 0

    def signal_in_a_round(self, number: int) -> None:
        """Signals the second process after a round that was new to them."""
        while self.last_round() <= self.round:
            for process in self.processes:
                assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        os.kill(self.processes[1].pid, number)

    def ends(self) -> list[tuple[int, str, str]]:
        """(exit code, stdout, stderr) of each."""
        found = [p.communicate(timeout=300) for p in self.processes]
        codes = [p.returncode for p in self.processes]
        return [(c, *texts) for c, texts in zip(codes, found, strict=True)]


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return main_test.Project(tmp_path_factory.mktemp('project'))


@pytest.fixture(scope='module')
def one(project) -> Path:
    """The run folder of one process with two devices."""
    done = subprocess.run(
        project.command('one', *FLAGS, config=CONFIG),
        cwd=ROOT,
        env=environment(devices=2),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return project.folder / 'one'


@pytest.fixture(scope='module')
def stopped(project) -> list[list[tuple[int, str, str]]]:
    """How two starts of one run by two processes ended."""
    ends = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        pair = Pair(project)
        pair.signal_in_a_round(number)
        ends.append(pair.ends())
    return ends


@pytest.fixture(scope='module')
def last(project, stopped) -> subprocess.CompletedProcess:
    """The last start of that run, by the launcher."""
    python, _, *flags = project.command('two', *FLAGS, config=CONFIG)
    return subprocess.run(
        [ROOT / 'launch' / 'local_multiprocess.sh', '2', *flags],
        env=environment(devices=1)
        | {'PYTHON': python, 'PORT': str(free_port())},
        capture_output=True,
        text=True,
    )


@exhaustive
def test_a_killed_process_ends_the_other_with_a_message(stopped):
    (code, _, text), (killed, _, _) = stopped[0]
    assert killed == -signal.SIGKILL
    assert code not in (0, preemption.EXIT_CODE)
    assert 'processes of a run end together' in text or 'another task' in text


@exhaustive
def test_sigterm_to_one_process_saves_the_round_and_stops_all(stopped, last):
    told = set()
    for code, _, text in stopped[1]:
        assert code == preemption.EXIT_CODE, text
        found = re.search(r'after (round|epoch) (\d), which is saved', text)
        told.add(found.groups())
    ((unit, number),) = told
    assert 'Resumes after round' in stopped[1][0][2]
    assert re.search(f'Resumes after {unit}.* {number}\\.', last.stderr)


@exhaustive
def test_two_processes_end_as_one_does(project, last, one):
    assert last.returncode == 0, last.stderr
    two = project.folder / 'two'
    name = 'predictions.jsonl'
    assert (two / name).read_text() == (one / name).read_text()
    for ours, theirs in zip(table(two), table(one), strict=True):
        assert float(ours.pop('loss')) == pytest.approx(
            float(theirs.pop('loss')), rel=1e-5, nan_ok=True
        )
        assert ours == theirs
    paths = sorted(one.glob('prompts/*/adapter_model.safetensors'))
    assert len(paths) == 4
    for path in paths:
        tensors = safetensors.load_file(two / path.relative_to(one))
        for key, tensor in safetensors.load_file(path).items():
            np.testing.assert_allclose(tensors[key], tensor, rtol=1e-4)
    logs = [[m['stage'] for m in main_test.metrics(p)] for p in (one, two)]
    assert logs[0] == logs[1]


@exhaustive
def test_the_first_process_alone_speaks(stopped, last):
    _, second, said = stopped[1][1]
    assert 'rounds' not in said and 'Data:' not in said + second
    assert last.stdout.count('Run folder:') == 1
    assert last.stderr.count('Data:') == 1


def test_a_process_places_and_reads_its_own_rows():
    """This file as a program, see main."""
    port = str(free_port())
    both = start(
        [sys.executable, '-m', 'tests.distributed_test', port, str(i)]
        for i in range(2)
    )
    for process in both:
        _, text = process.communicate(timeout=120)
        assert process.returncode == 0, text


def table(run: Path) -> list[dict]:
    with open(run / 'tradeoff.csv') as file:
        return list(csv.DictReader(file))


def test_flags_that_contradict_each_other_are_told():
    def fault(*flags):
        with pytest.raises(ValueError) as error:
            processes.from_flags(*flags)
        return str(error.value)

    assert '--distributed asks the cluster' in fault(True, 'a:1', None, None)
    assert '--num_processes=None' in fault(False, 'a:1', None, 1)
    assert '--process_id=2 must be one of' in fault(False, 'a:1', 2, 2)
    assert processes.from_flags(False, None, None, None) is None
    assert processes.from_flags(True, None, None, None).coordinator is None
    assert processes.from_flags(False, 'a:1', 2, 0).process_id == 0


def test_faults_of_the_config_do_not_wait_for_other_processes():
    command = [
        sys.executable, 'main.py', '--config=configs/fedavg_adam.py',
        '--config.rounds=-1', '--coordinator=localhost:1',
        '--num_processes=2', '--process_id=1',
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert 'config.rounds=-1' in done.stderr


def test_processes_of_two_runs_are_refused(project):
    """Else both would train, on numbers of which neither knows."""
    rates = ['--config.client.learning_rate=0.5'], []
    flags = [*FLAGS, f'--coordinator=localhost:{free_port()}']
    both = start(
        project.command(
            'other', *flags, *own, '--num_processes=2', f'--process_id={i}'
        )
        for i, own in enumerate(rates)
    )
    for process in both:
        told = process.communicate(timeout=300)[1]
        assert process.returncode == 1, told
        assert 'config.client.learning_rate: 0.5 in the first' in told
        assert 'Traceback' not in told
    assert not (project.folder / 'other').exists()


def test_processes_that_do_not_meet_are_told_how(monkeypatch):
    def initialize(*args, **kwargs):
        raise RuntimeError('UNKNOWN: Failed to start RPC server')

    monkeypatch.setattr(jax.distributed, 'initialize', initialize)
    with pytest.raises(ValueError, match='--coordinator=a:1.*port that is f'):
        processes.Processes('a:1', 2, 0).connect()


def test_sigterm_is_remembered_once_and_only_inside():
    before = signal.getsignal(signal.SIGTERM)
    with preemption.Preemption() as stop:
        assert not stop.asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == before


def main(port: str, process_id: int) -> None:
    """Rows on a mesh of two processes; what is not here is not right."""
    processes.Processes(f'localhost:{port}', 2, process_id).connect()
    mesh = mesh_lib.make_mesh(2, 1)
    own = mesh_lib.Devices(mesh).my_rows(6)
    assert own.tolist() == [i // 3 == process_id for i in range(6)]
    assert mesh_lib.Devices(mesh).my_rows(5).all()  # two do not divide it
    known = np.where(own, np.arange(6), -1)
    rows = mesh_lib.Devices(mesh).rows(known)
    np.testing.assert_array_equal(mesh_lib.to_host(rows), np.arange(6))
    whole = mesh_lib.Devices(mesh).replicate(rows)
    np.testing.assert_array_equal(np.asarray(whole), np.arange(6))
    mesh = mesh_lib.make_mesh(1, 2)  # each has a part of the base, all rows
    assert mesh_lib.Devices(mesh).my_rows(6).all()
    assert processes.any_of(process_id == 1)
    assert not processes.any_of(False)
    here = Path(tempfile.gettempdir())
    assert processes.share(here)
    processes.PATIENCE = 0.2
    assert not processes.share((here, here / 'elsewhere')[process_id])


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]))
