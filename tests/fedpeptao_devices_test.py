"""FedPepTAO on several devices, of one process or two, ends as on one."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from configs.fedpeptao import settings
from configs.studies.profit.settings import flat
from fedprompt_jax.experiment import build, train
from fedprompt_jax.experiment.checkpoint import Checkpoints
from fedprompt_jax.experiment.clients import Clients
from tests import distributed_test
from tests.exhaustive import exhaustive
from tests.fedpeptao_run_test import (
    ESTIMATED,
    SMALL,
    estimated,
    lines,
    runs,
    whole,
)

assert runs and whole and estimated  # fixtures
SEVERAL = {  # devices of each process, and the mesh
    'two processes': (2, 1, ('mesh.data=2',)),
    'a mesh': (1, 4, ('mesh.data=2', 'mesh.model=2')),
    'two processes of a mesh': (2, 2, ('mesh.data=2', 'mesh.model=2')),
}


def command(runs, path, changes: dict, *more: str) -> list[str]:
    """main.py on the shipped config, which is changed into that of a run."""
    shipped = dict(flat(settings.config('sst2', 'quickstart').to_dict()))
    ours = dict(flat(runs.config(**changes).to_dict()))
    return [
        sys.executable,
        'main.py',
        '--config=configs/fedpeptao/sst2.py',
        *(
            f'--config.{key}={value}'
            for key, value in ours.items()
            if value != shipped[key]
        ),
        f'--workdir={path}',
        f'--cache_dir={runs.folder / "cache"}',
        *more,
    ]


def on_several(runs, name: str, changes: dict, folder: str):
    """The folder of a run on some of SEVERAL."""
    processes, devices, mesh = SEVERAL[name]
    path = runs.folder / folder
    flags = [f'--config.{key}' for key in mesh]
    port = distributed_test.free_port()
    of_several = [f'--coordinator=localhost:{port}', '--num_processes=2']
    started = [
        subprocess.Popen(
            command(
                runs,
                path,
                changes,
                *flags,
                *([*of_several, f'--process_id={i}'] if processes > 1 else ()),
            ),
            cwd=distributed_test.ROOT,
            env=distributed_test.environment(devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(processes)
    ]
    ends = [process.communicate(timeout=300) for process in started]
    codes = [process.returncode for process in started]
    assert codes == [0] * processes, ends[0][1][-3000:]
    return path


def record(path, name: str) -> dict:
    return json.loads((path / f'{name}.json').read_text())


def close(path, other, stages) -> None:
    """The same layers and messages; numbers are equal up to rounding."""
    for stage in stages:
        pairs = zip(lines(path, stage), lines(other, stage), strict=True)
        for one, two in pairs:
            assert one.keys() == two.keys()
            for key in set(one) - {'stage', 'seconds'}:
                assert one[key] == pytest.approx(two[key], rel=1e-3), key
    one, two = (record(folder, 'layers') for folder in (path, other))
    assert one['chosen'] == two['chosen']
    np.testing.assert_allclose(one.pop('scores'), two.pop('scores'), rtol=1e-3)
    assert one.pop('share') == pytest.approx(two.pop('share'), rel=1e-3)
    assert one == two
    assert record(path, 'messages') == record(other, 'messages')
    found, expected = (
        load_file(folder / 'prompts' / 'global' / 'adapter_model.safetensors')
        for folder in (path, other)
    )
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=2e-4)


def kept(runs, path) -> tuple:
    """Memory of the server and rows of the clients at the last checkpoint."""
    config = runs.config(**SMALL)
    folder, data = build.load_data(config, runs.folder / 'cache', runs.loaded)
    experiment = build.build(config, folder, data, runs.loaded)
    checkpoints = Checkpoints(path / 'checkpoints' / 'train', 2)
    state = checkpoints.restore(train.initial(experiment))
    clients = Clients(experiment, path / 'checkpoints')
    clients.restore(checkpoints.notes())
    assert int(state.server.round) == SMALL['rounds']
    return state.server.memory, clients.take(state.server, np.arange(5))


@pytest.fixture(scope='module')
def kept_by_one(runs, whole):
    return kept(runs, whole)


@exhaustive
@pytest.mark.parametrize('name', SEVERAL)
def test_several_devices_are_one(runs, whole, kept_by_one, name):
    """Scores, layers, rounds, views; variates, momentum and own layers."""
    path = on_several(runs, name, SMALL, name)
    close(path, whole, ('layers', 'train', 'validation', 'views'))
    found, expected = (
        jax.tree_util.tree_leaves_with_path(tree)
        for tree in (kept(runs, path), kept_by_one)
    )
    assert len(found) == len(expected)
    for (place, one), (same, two) in zip(found, expected, strict=True):
        assert place == same
        np.testing.assert_allclose(
            one, two, rtol=1e-3, atol=2e-4, err_msg=jax.tree_util.keystr(place)
        )


@exhaustive
def test_several_devices_estimate_the_same_ratio(runs, estimated):
    """Rounds with all layers, and products with Hessians."""
    path = on_several(
        runs, 'two processes of a mesh', ESTIMATED, 'estimated by two'
    )
    close(path, estimated, ('layer_ratio', 'layers', 'train'))
    one, two = (record(folder, 'layer_ratio') for folder in (path, estimated))
    assert one.pop('share') == pytest.approx(two.pop('share'), rel=1e-3)
    assert one == two
