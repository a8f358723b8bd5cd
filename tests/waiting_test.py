"""The host dispatches a round, and waits for the devices once, at its end.

Counted in a process with two devices; see dispatches.py.
"""

from collections import Counter
import functools
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import types
from typing import Any

import numpy as np
import pytest

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.experiment import one_round
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.mesh import Devices, make_mesh
from fedprompt_jax.models import source
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from tests import algorithm_contract_test as contract
from tests import dispatches, plain, tiny

ROOT = Path(__file__).parents[1]
# Gradients of a round of S steps, and optimizer steps.
GRADIENTS = {
    'fedavg': (6, 6),
    'fedsgd': (1, 0),
    'scaffold': (6, 6),
    'ditto': (12, 12),
    'per_fedavg': (6, 3),
    'fedpeptao': (6, 6),
    'fedsp': (6, 6),
    'local': (6, 6),
}
# Other programs of a round, however many steps it has; these two have some more
# for each step.
OF_A_ROUND, OF_A_STEP = 60, ('per_fedavg', 'fedsp')


def experiment(folder: Path, devices: Devices) -> Any:
    """All but the algorithm, with rows for all examples of a cohort."""
    lm = source.load(folder, np.float32)
    base = devices.replicate(lm.base)
    model = TunedModel(Transformer(lm.config), Prompt(plain.P))
    packer = Packer(plain.P, (Shape(64, 48, (8, 32)),))
    return types.SimpleNamespace(
        simulation=PackedSimulation(
            model, base, packer, 'sequence', devices.rows
        ),
        devices=devices,
    )


def third_round(shared: Any, name: str, counts: dispatches.Counts) -> dict:
    """Of an algorithm's third round: its reads, and programs by name."""
    algorithm = contract.make(name, shared.simulation)
    cohorts = contract.rounds(name, 1) * 3  # what clients keep is known then
    parts = types.SimpleNamespace(
        **vars(shared),
        algorithm=algorithm,
        config=contract.quadratics.config_of(name),
        cohort=lambda number: cohorts[number],
    )
    with tempfile.TemporaryDirectory() as folder:
        clients = Clients(parts, Path(folder))
        server = shared.devices.replicate(algorithm.init())
        for number in range(3):
            drawn = one_round.cohort(parts, number)
            counts.clear()
            done = one_round.compute(parts, clients, server, drawn)
            clients.put(drawn.clients, done.rows)
            server = done.server
        assert done.finite and int(server.round) == 3
    return {'reads': counts.reads[:], 'programs': Counter(counts.programs)}


def main(folder: Path) -> None:
    """Prints what the third rounds of algorithms ask for."""
    devices = Devices(make_mesh(2, 1))
    with dispatches.counted() as counts:
        shared = experiment(folder, devices)
        rounds = functools.partial(third_round, shared, counts=counts)
        print(json.dumps({name: rounds(name) for name in GRADIENTS}))


@pytest.fixture(scope='module')
def found(tmp_path_factory) -> dict[str, dict]:
    """What main() prints."""
    folder = tiny.make_checkpoint(tmp_path_factory.mktemp('waiting'))
    done = subprocess.run(
        [sys.executable, '-m', 'tests.waiting_test', folder],
        cwd=ROOT,
        env=os.environ
        | {
            'JAX_PLATFORMS': 'cpu',
            'JAX_NUM_CPU_DEVICES': '2',
            'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize('name', GRADIENTS)
def test_a_round_is_read_once_whatever_the_algorithm(name, found):
    """A float() or a NumPy call on an array of the round is one read more."""
    assert len(found[name]['reads']) == 1


@pytest.mark.parametrize('name', GRADIENTS)
def test_a_step_is_a_gradient_and_an_optimizer_step(name, found):
    programs = Counter(found[name]['programs'])
    gradients, steps = GRADIENTS[name]
    assert programs.pop('jit(grid_gradients)') == gradients
    assert programs.pop('jit(stepped)', 0) == steps
    if name not in OF_A_STEP:
        assert programs.total() <= OF_A_ROUND


if __name__ == '__main__':
    main(Path(sys.argv[1]))
