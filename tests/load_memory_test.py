"""The benchmark of load memory runs, and its figures fit each other."""

import json
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.benchmark
SIZES = {'layers': 3, 'width': 128, 'mlp': 192, 'vocab': 512, 'shards': 2}


def test_it_measures_a_tiny_checkpoint(tmp_path):
    flags = [f'--{key}={value}' for key, value in SIZES.items()]
    command = [sys.executable, '-m', 'benchmarks.load_memory', '--json']
    done = subprocess.run(
        [*command, f'--dir={tmp_path}', *flags],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    one, many = result['runs']
    assert (one['mesh'], many['mesh']) == ([1, 1], [2, 4])
    tables = 2 * SIZES['vocab'] * SIZES['width']
    layer = 3 * SIZES['mlp'] * SIZES['width']
    assert one['parameter_bytes'] > 2 * (tables + SIZES['layers'] * layer)
    assert result['checkpoint_bytes'] > one['parameter_bytes']
    assert one['bytes_on_devices'] == one['parameter_bytes']
    assert many['bytes_on_devices'] > 2 * one['parameter_bytes']
    assert list(tmp_path.iterdir()) == []
