"""Seconds of a round that the host waits for once, and of one that it follows.

    python -m benchmarks.waiting [--clients=4 --steps=4 --batch=4]
        [--rounds=6] [--max_tokens=4096] [--data=DIR] [--json]

Rounds of FedAvg(Adam) on SmolLM2-135M in three ways, the same cohorts in turn:

* `plain`: batches are packed when a step needs them, and the host waits for
  the bank after the local steps, to see whether an owner was lost;
* `ahead`: batches are packed and placed before the round, as a run does it in
  a thread, and the host waits once, at the end;
* `scanned`: the same, with all local steps as one program where their grids are
  alike (config.packing.scan_steps). Rounds in which they are not are left out.

Packing is given beside them. The first round of each way compiles. Expected on
a CPU: `ahead` is faster than `plain` by the packing, since both share the
cores; `scanned` is no faster, since a step takes a thousand times as long as
its dispatch, and compiles another program for each shape. On an accelerator
the host is idle for the packing of the first step alone.

In another process with two devices, so that nothing is read unseen, the
programs and the reads of a round are counted.
"""

from collections import defaultdict
import json
import sys
import time
from typing import Any

from absl import flags
import numpy as np

from benchmarks import children
from fedprompt_jax.federated import scanned
from tests import dispatches

_CLIENTS = flags.DEFINE_integer('clients', 4, 'C.')
_STEPS = flags.DEFINE_integer('steps', 4, 'S.')
_BATCH = flags.DEFINE_integer('batch', 4, 'B, examples a client a step.')
_LENGTH = flags.DEFINE_integer('prompt_length', 10, 'P.')
_ROUNDS = flags.DEFINE_integer('rounds', 6, 'Rounds, after those that compile.')
_MAX_TOKENS = flags.DEFINE_integer('max_tokens', 4096, 'Of one call.')
_REPEATS = flags.DEFINE_integer('repeats', 1, 'Of the rounds.')
WAYS = ('plain', 'ahead', 'scanned')


def main() -> None:
    argv = sys.argv[1:]
    result = children.run(__spec__.name, 'seconds', argv)
    result |= children.run(
        __spec__.name, 'counts', argv, JAX_NUM_CPU_DEVICES='2'
    )
    if children.JSON.value:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f'{key:24}', value)


def measure(part: str) -> dict[str, Any]:
    """Seconds, or counts, in this process."""
    return seconds() if part == 'seconds' else counts()


def make_experiment(data: int = 1):
    """The shipped config with a cohort of these sizes."""
    from fedprompt_jax.experiment import build

    config = children.make_config()
    config.clients_per_round, config.local_steps = _CLIENTS.value, _STEPS.value
    config.batch_size, config.prompt.length = _BATCH.value, _LENGTH.value
    config.packing.max_tokens, config.mesh.data = _MAX_TOKENS.value, data
    folder, loaded = build.load_data(config, children.cache())
    return build.build(config, folder, loaded)


def seconds() -> dict[str, Any]:
    """Of a round in each way, and of what it compiles."""
    from fedprompt_jax.experiment import one_round
    from fedprompt_jax.experiment.compilations import Compilations

    experiment, compilations = make_experiment(), Compilations()
    state = experiment.algorithm.init()
    spent: dict[str, list[float]] = defaultdict(list)
    compiled: dict[str, float] = defaultdict(float)
    for number in [*range(_ROUNDS.value)] * (1 + _REPEATS.value):
        compiles = len(spent['packing']) < _ROUNDS.value
        began = time.perf_counter()
        ahead = one_round.cohort(experiment, number)
        spent['packing'].append(time.perf_counter() - began)
        same = scanned.alike([step.grids for step in ahead.steps])
        for way in WAYS if same else WAYS[:2]:
            experiment.simulation.scan_steps = way == 'scanned'
            drawn = experiment.cohort(number) if way == 'plain' else ahead
            before, began = compilations.seconds, time.perf_counter()
            once(experiment, state, drawn)
            took = time.perf_counter() - began
            compiled[way] += compilations.seconds - before
            if not compiles:
                spent[way].append(took)
                spent[f'{way}_alike' if same else 'others'].append(took)
    spent.pop('others', None)
    return {
        'clients': _CLIENTS.value,
        'steps': _STEPS.value,
        'batch': _BATCH.value,
        'rounds_alike': len(spent['ahead_alike']),
        'rounds': len(spent['ahead']),
        **{f'{name}_s': float(np.median(x)) for name, x in spent.items() if x},
        **{f'{name}_compile_s': found for name, found in compiled.items()},
    }


def once(experiment, state, drawn) -> Any:
    """A round, read at its end; returns the server's state."""
    from fedprompt_jax.experiment.one_round import all_finite
    from fedprompt_jax.mesh import fetch

    server, _, metrics = experiment.algorithm.round(state, None, drawn)
    fetch((all_finite(server), metrics, server.round))
    return server


def counts() -> dict[str, Any]:
    """Programs and reads of the third round, which compiles nothing."""
    from fedprompt_jax.experiment import one_round

    experiment, found = make_experiment(data=2), {}
    for way in WAYS:
        experiment.simulation.scan_steps = way == 'scanned'
        with dispatches.counted() as counted:
            state = experiment.devices.replicate(experiment.algorithm.init())
            for _ in range(3):
                drawn = experiment.cohort(0)
                if way != 'plain':
                    drawn = one_round.cohort(experiment, 0)
                counted.clear()
                state = once(experiment, state, drawn)
        found[f'{way}_programs'] = len(counted.programs)
        found[f'{way}_reads'] = len(counted.reads)
    return found


if __name__ == '__main__':
    children.start(main, measure)
