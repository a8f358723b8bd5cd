"""FedSP on two processes of two devices each ends as on one device."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import distributed_test
from tests.exhaustive import exhaustive
from tests.fedsp_run_test import SMALL, lines, runs, whole

assert runs and whole  # fixtures
MESH = ['--config.mesh.data=2', '--config.mesh.model=2']


def command(runs, path, *more: str) -> list[str]:
    base = {
        'model.source': runs.base.model.source,
        'data.path': runs.base.data.path,
        'packing.max_tokens': runs.base.packing.max_tokens,
        'evaluation.batch_size': runs.base.evaluation.batch_size,
        'personalization.train_examples': (
            runs.base.personalization.train_examples
        ),
    }
    changes = base | {k.replace('__', '.'): v for k, v in SMALL.items()}
    return [
        sys.executable,
        'main.py',
        '--config=configs/fedsp/sciq.py',
        *(f'--config.{key}={value}' for key, value in changes.items()),
        f'--workdir={path}',
        f'--cache_dir={runs.folder / "cache"}',
        *more,
    ]


def close(path, other):
    for stage in ('distill', 'train', 'validation'):
        for one, two in zip(
            lines(path, stage), lines(other, stage), strict=True
        ):
            for key in set(one) - {'stage', 'seconds'}:
                assert one[key] == pytest.approx(two[key], rel=1e-3), key
    found, expected = (
        load_file(folder / 'prompts' / 'global' / 'params.safetensors')
        for folder in (path, other)
    )
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=2e-4)
    messages = [
        json.loads((folder / 'messages.json').read_text())
        for folder in (path, other)
    ]
    assert messages[0] == messages[1]


@exhaustive
def test_two_processes_on_a_mesh_are_one_device(runs, whole):
    path = runs.folder / 'two processes'
    several = [
        f'--coordinator=localhost:{distributed_test.free_port()}',
        '--num_processes=2',
    ]
    started = [
        subprocess.Popen(
            command(runs, path, *MESH, *several, f'--process_id={i}'),
            cwd=distributed_test.ROOT,
            env=distributed_test.environment(devices=2),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    ends = [process.communicate(timeout=300) for process in started]
    assert [p.returncode for p in started] == [0, 0], ends[0][1][-3000:]
    close(path, whole)
