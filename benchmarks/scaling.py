"""One local step of a cohort on more devices, and what they tell each other.

    python -m benchmarks.scaling [--devices=1,2,4,8] [--clients=8 --batch=8]
        [--data=DIR] [--json]

The CPU is forced to be so many devices, rows cut over them, in a process of
its own each; and then two processes with a device each. They share this
machine's cores, so that what shows is the cost of cutting, not a speed-up.
Losses are compared before any time is reported.
"""

from concurrent.futures import ThreadPoolExecutor
import json
import os
import socket
import subprocess
import sys
from typing import Any

from absl import flags
import numpy as np

from benchmarks import children, cohort_step, timing
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.planning import hlo

_DEVICES = flags.DEFINE_list('devices', ['1', '2', '4', '8'], 'Of one process.')
_PROCESS = flags.DEFINE_integer('process', None, 'Internal: which of two.')
_PORT = flags.DEFINE_integer('port', None, 'Internal: of the first.')

TWO = 'two processes'
EXACT = 1e-4  # largest relative difference of losses


def main() -> None:
    given = sys.argv[1:]
    os.environ['JAX_PLATFORMS'] = 'cpu'
    parts = {}
    for number in _DEVICES.value:
        os.environ['JAX_NUM_CPU_DEVICES'] = number
        parts[f'{number} devices'] = children.run(__spec__.name, number, given)
    os.environ['JAX_NUM_CPU_DEVICES'] = '1'
    parts[TWO] = both(given)
    first, *others = parts
    for other in others:
        a, b = (np.array(parts[p]['losses']) for p in (first, other))
        off = float(np.abs(a - b).max() / np.abs(a).max())
        if not off <= EXACT:
            raise RuntimeError(
                f'{first} and {other} differ in their losses by {off:.1e}: no '
                'time is reported.'
            )
    found = {
        name: {
            'tokens_per_s': part['tokens'] / part['median_s'],
            'first_s': part['first_s'],
            'collectives': part['collectives'],
        }
        for name, part in parts.items()
    }
    print(json.dumps(found) if children.JSON.value else table(found))


def both(given: list[str]) -> dict[str, Any]:
    """What the first of two processes measures."""
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    command = [sys.executable, '-m', __spec__.name, *given, '--part=2']

    def run(process: int) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*command, f'--process={process}', f'--port={port}'],
            capture_output=True,
            text=True,
            check=False,
        )

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(run, range(2)))
    for end in ends:
        if end.returncode:
            raise RuntimeError(f'{TWO} failed:\n{end.stderr[-3000:]}')
    return json.loads(ends[0].stdout.splitlines()[-1])


def measure(devices: str) -> dict[str, Any]:
    """One local step on a mesh of so many devices."""
    if _PROCESS.value is not None:
        from fedprompt_jax.experiment.processes import Processes

        Processes(f'localhost:{_PORT.value}', 2, _PROCESS.value).connect()
    import jax

    from fedprompt_jax.bank.owners import replicate
    from fedprompt_jax.data.examples import token_weights
    from fedprompt_jax.experiment import build
    from fedprompt_jax.federated import ledger, optimizers

    config = cohort_step.make_config('packed')
    config.mesh.data = int(devices)
    folder, data = build.load_data(config, children.cache())
    experiment = build.build(config, folder, data)
    simulation = experiment.simulation
    cohorts = cohort_step.cohorts(experiment)
    tx = optimizers.make(config.client.optimizer, cohort_step.RATE)
    bank = experiment.devices.replicate(
        replicate(experiment.params, config.clients_per_round)
    )
    state = jax.vmap(tx.init)(bank)
    result: dict[str, Any] = {}

    def step():
        result['losses'] = []
        for cohort in cohorts:
            local = simulation.local_train(tx, bank, state, cohort.steps)
            jax.block_until_ready(local.bank)
            result['losses'].append(local.losses[0].tolist())

    times = timing.measure(step, cohort_step.REPEATS.value)
    steps = [examples for cohort in cohorts for examples in cohort.steps]
    examples = steps[0]
    weights = token_weights(examples, config.loss)
    grid, *_ = simulation.packer.pack(examples, weights)
    lowered = grid_gradients.lower(
        experiment.model, simulation.base, bank, simulation.place_rows(grid)
    )
    result['collectives'] = hlo.collectives(lowered.compile().as_text())
    work = ledger.compute(experiment.model, steps)
    return result | times | {'tokens': work['tokens']}


def table(found: dict[str, dict]) -> str:
    """The same for people."""
    lines = [f'{"":14} {"tokens/s":>9} {"first call s":>13}  communicates']
    for name, part in found.items():
        said = '; '.join(part['collectives']) or 'nothing'
        lines.append(
            f'{name:14} {part["tokens_per_s"]:9.0f} {part["first_s"]:13.1f}  '
            f'{said}'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main, measure)
