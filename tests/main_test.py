"""`python main.py` as a user runs it, on a tiny scale, and killed at will."""

from collections.abc import Callable
import csv
import json
import os
from pathlib import Path
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import tiny, tiny_data
from tests.exhaustive import exhaustive

ROOT = Path(__file__).parents[1]
FLAGS = {
    'data.client_size': 16,
    'prompt.length': 3,
    'rounds': 4,
    'clients_per_round': 3,
    'local_steps': 2,
    'batch_size': 2,
    'validation.every': 2,
    'validation.clients': 2,
    'validation.examples': 3,
    'personalization.clients': 2,
    'personalization.train_examples': 8,
    'personalization.eval_examples': 4,
    'personalization.global_examples': 4,
    'personalization.epochs': 4,
    'personalization.batch_size': 4,
    'personalization.every': 2,
    'evaluation.max_new_tokens': 4,
    'evaluation.batch_size': 8,
}


class Project:
    """A tiny model and tiny data, and main.py started on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = tiny.make_checkpoint(folder / 'model')
        self.data = tiny_data.make_data(folder / 'data')

    def command(self, workdir: str, *more: str, config='fedavg_adam') -> list:
        flags = FLAGS | {
            'model.source': self.model,
            'data.path': self.data,
        }
        return [
            sys.executable,
            'main.py',
            f'--config=configs/{config}.py',
            f'--workdir={self.folder / workdir}',
            f'--cache_dir={self.folder / "cache"}',
            *(f'--config.{key}={value}' for key, value in flags.items()),
            *more,
        ]

    def run(self, workdir: str, *more: str, devices: int = 1, **kwargs):
        return subprocess.run(
            self.command(workdir, *more, **kwargs),
            cwd=ROOT,
            env=environment() | {'JAX_NUM_CPU_DEVICES': str(devices)},
            capture_output=True,
            text=True,
            check=False,
        )

    def kill_when(self, workdir: str, ready: Callable[[Path], bool]) -> None:
        """Starts a run and kills it without warning once `ready` holds."""
        process = subprocess.Popen(
            self.command(workdir),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not ready(self.folder / workdir):
            assert process.poll() is None, 'it ended before it was killed'
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    # Every program goes to the persistent cache, for speed.
    return os.environ | {
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        'JAX_PLATFORMS': 'cpu',
    }


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Project:
    return Project(tmp_path_factory.mktemp('project'))


@pytest.fixture(scope='module')
def whole(project) -> Path:
    """The folder of an uninterrupted run."""
    done = project.run('whole')
    assert done.returncode == 0, done.stderr
    assert 'personalized prompt' in done.stdout
    return project.folder / 'whole'


def lines(path: Path) -> int:
    return path.read_bytes().count(b'\n') if path.exists() else 0


def metrics(run: Path) -> list[dict]:
    text = (run / 'metrics.jsonl').read_text()
    return [json.loads(line) for line in text.splitlines()]


def results(run: Path) -> dict[str, bytes]:
    """What must not depend on how often a run was killed."""
    prompts = sorted((run / 'prompts').rglob('*'))
    paths = [*prompts, run / 'tradeoff.csv', run / 'predictions.jsonl']
    files = {
        str(p.relative_to(run)): p.read_bytes() for p in paths if p.is_file()
    }
    timeless = [
        {k: v for k, v in m.items() if k != 'seconds'} for m in metrics(run)
    ]
    return files | {'metrics': json.dumps(timeless).encode()}


def test_a_run_leaves_the_run_folder(whole):
    names = {p.name for p in whole.iterdir()}
    assert names == {
        'config.json', 'run.json', 'metrics.jsonl', 'tradeoff.csv',
        'predictions.jsonl', 'prompts', 'checkpoints', 'figures',
        'report.html', 'messages.json',
    }  # fmt: skip
    assert {'initial', 'global'} < {
        p.name for p in (whole / 'prompts').iterdir()
    }
    assert (whole / 'figures' / 'tradeoff.png').stat().st_size
    rounds = [m['round'] for m in metrics(whole) if m['stage'] == 'train']
    assert rounds == [1, 2, 3, 4]
    with open(whole / 'tradeoff.csv') as file:
        rows = list(csv.DictReader(file))
    counts = {}
    for row in rows:
        key = row['prompt'], int(row['epoch']), row['split']
        counts[key] = counts.get(key, 0) + 1
    scored = [('bare', 0), ('initial', 0), ('global', 0)]
    scored += [('copy', 0), ('majority', 0)]
    scored += [('personalized', 2), ('personalized', 4), ('averaged', 4)]
    expected = {(*s, split): 2 for s in scored for split in ('local', 'global')}
    assert counts == expected


def test_every_file_and_field_of_a_run_is_documented(whole):
    page = (ROOT / 'docs/run_folder.md').read_text()
    documented = set(re.findall(r'`([^`\n]+)`', page))
    names = {p.name + '/' * p.is_dir() for p in whole.iterdir()}
    names |= {*json.loads((whole / 'run.json').read_text())}
    with open(whole / 'tradeoff.csv') as file:
        names |= {*csv.DictReader(file).fieldnames}
    for log in ('metrics.jsonl', 'predictions.jsonl'):
        for line in (whole / log).read_text().splitlines():
            names |= {*json.loads(line)}
    assert names - documented == set()


def test_a_second_start_changes_nothing_and_says_so(project, whole):
    def state():
        files = sorted(p for p in whole.rglob('*') if p.is_file())
        return [(p, p.stat().st_mtime_ns, p.read_bytes()) for p in files]

    before = state()
    again = project.run('whole')
    assert again.returncode == 0, again.stderr
    assert 'nothing was changed' in again.stdout
    assert state() == before


def test_another_config_on_an_old_folder_is_refused(project, whole):
    before = results(whole)
    refused = project.run('whole', '--config.batch_size=3')
    assert refused.returncode != 0
    assert 'config.batch_size: 2 there, 3 now' in refused.stderr
    assert results(whole) == before


def saving(stage: str, step: int) -> Callable[[Path], bool]:
    """Holds while Orbax is writing a checkpoint."""

    def ready(run):
        folder = run / 'checkpoints' / stage
        return any(
            p.name.startswith(f'{step}.') for p in folder.glob(f'{step}*')
        )

    return ready


MOMENTS = {
    'writing a checkpoint of training': saving('train', 2),
    'after validation': lambda run: lines(run / 'metrics.jsonl') >= 4,
    'writing a checkpoint of personalization': saving('personalize', 1),
    'writing what it leaves': lambda run: (run / 'prompts' / 'global').exists(),
}  # fmt: skip


@pytest.fixture(scope='module')
def killed(project) -> Path:
    """The folder of one run, killed once at each moment.

    A copy of its state after validation is beside it, as 'moved'.
    """
    folder = project.folder / 'killed'
    for name, moment in MOMENTS.items():
        project.kill_when('killed', moment)
        if name == 'after validation':
            shutil.copytree(folder, project.folder / 'moved')
    return folder


def test_a_run_killed_at_any_moment_ends_the_same(project, whole, killed):
    """Every start resumes the last."""
    done = project.run('killed')
    assert done.returncode == 0, done.stderr
    assert results(killed) == results(whole)


@exhaustive
def test_a_run_goes_on_on_another_mesh(project, whole, killed):
    """Begun on one device, ended on four, the base cut over them all."""
    moved = project.folder / 'moved'
    before = len(metrics(moved))
    done = project.run(
        'moved',
        '--config.mesh.data=2',
        '--config.mesh.model=2',
        '--config.mesh.fsdp=True',
        devices=4,
    )
    assert done.returncode == 0, done.stderr
    assert 'Resumes after round' in done.stderr
    pairs = list(zip(metrics(whole), metrics(moved), strict=True))
    assert 0 < before < len(pairs)
    for one, other in pairs:
        assert one.keys() == other.keys()
        if one['stage'] == 'train':
            assert one['loss'] == pytest.approx(other['loss'], rel=1e-3)


def test_all_faults_come_together_before_any_work(project):
    done = project.run(
        'faulty',
        '--config.batch_size=0',
        '--config.algorithm=fedavgg',
        '--config.client.optimizer=adamm',
        '--config.data.path=/nowhere',
    )
    assert done.returncode != 0
    for text in (
        'config.batch_size=0 must be at least 1',
        "did you mean 'fedavg'?",
        "did you mean 'adam",
        "config.data.path='/nowhere'",
    ):
        assert text in done.stderr
    assert not (project.folder / 'faulty').exists()
    assert 'Traceback' not in done.stderr


def test_a_run_that_diverges_stops_with_its_state_intact(project):
    done = project.run(
        'diverges',
        '--config.client.optimizer=sgd',
        '--config.client.learning_rate=1e39',
        '--config.server.optimizer=sgd',
    )
    assert done.returncode != 0
    assert 'non-finite; stopped' in done.stderr
    folder = project.folder / 'diverges' / 'checkpoints' / 'train'
    assert [p.name for p in folder.iterdir() if p.name.isdigit()]
