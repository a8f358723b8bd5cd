"""Measures are the same on several processes, and in a bank of runs."""

import json
import math
import os
from pathlib import Path
import subprocess
from unittest import mock

import pytest

from fedprompt_jax.report import page
from fedprompt_jax.study import one_bank
from fedprompt_jax.study.points import Point
from tests import distributed_test, main_test
from tests.exhaustive import exhaustive
from tests.tiny_run import Runs, StopAfter

ROOT = Path(__file__).parents[1]
NAMES = ('heterogeneity', 'landscape')
MEASURED = {
    'measures': NAMES,
    'heterogeneity.clients': 3,
    'heterogeneity.examples': 4,
    'landscape.examples': 3,
    'landscape.points': 3,
    'landscape.clients': 1,
    'landscape.random': 1,
    # As many as the prompt has numbers would end in rounding.
    'landscape.lanczos_steps': 8,
    'landscape.eigenvalues': 1,
}
# Adam would make a step of any gradient, and so of its rounding.
SHORT = {
    'client.optimizer': 'sgd',
    'server.optimizer': 'sgd',
    'personalization.optimizer': 'sgd',
    'rounds': 1,
    'validation.every': 0,
    'personalization.epochs': 1,
    'personalization.every': 1,
}


def records(folder: Path) -> dict:
    return {
        name: json.loads((folder / f'{name}.json').read_text())
        for name in NAMES
    }


def close(one, two) -> None:
    """Up to rounding: prompts that are trained in another order of sums."""
    if isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one.keys() - {'largest_bounds', 'smallest_bounds'}:
            close(one[key], two[key])
    elif isinstance(one, list):
        assert len(one) == len(two)
        for pair in zip(one, two, strict=True):
            close(*pair)
    elif isinstance(one, float) and math.isfinite(one):
        assert two == pytest.approx(one, rel=5e-3, abs=1e-4)
    else:
        assert one == two


@exhaustive
def test_two_processes_measure_what_one_does(tmp_path):
    project = main_test.Project(tmp_path)
    flags = [f'--config.{k}={v}' for k, v in (MEASURED | SHORT).items()]
    alone = project.run('one', *flags)
    assert alone.returncode == 0, alone.stderr
    python, _, *rest = project.command('two', '--config.mesh.data=2', *flags)
    both = subprocess.run(
        [ROOT / 'launch' / 'local_multiprocess.sh', '2', *rest],
        env=distributed_test.environment(devices=1)
        | {'PYTHON': python, 'PORT': str(distributed_test.free_port())},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert both.returncode == 0, both.stderr
    close(records(tmp_path / 'one'), records(tmp_path / 'two'))
    assert 'heterogeneity.png' in os.listdir(tmp_path / 'two' / 'figures')


@exhaustive
def test_runs_of_a_bank_measure_what_they_do_alone(tmp_path):
    """One of them measures, and ends later than the other."""
    runs = Runs(tmp_path)
    flags = MEASURED | SHORT | {'rounds': 0}
    names = {k.replace('.', '__'): v for k, v in flags.items()}
    configs = [
        runs.config(**names, seed=0),
        runs.config(**names | {'measures': ()}, seed=1),
    ]
    folders = [tmp_path / f'bank {i}' for i in range(2)]
    points = [Point(f'{i}', {}, config) for i, config in enumerate(configs)]
    with mock.patch.object(page, 'write'):
        ends = one_bank.run(
            points, folders, tmp_path / 'cache', runs.loaded, StopAfter(0),
            [[], []],
        )  # fmt: skip
    assert ends == [None, None]
    runs.start(tmp_path / 'alone', **names, seed=0)
    close(records(tmp_path / 'alone'), records(folders[0]))
    assert not (folders[1] / 'landscape.json').exists()
