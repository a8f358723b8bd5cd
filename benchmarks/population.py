"""A generated population of many clients: start-up, sampling, memory.

    python -m benchmarks.population [--clients=1000,10000,100000,1000000]

A client has eight instances of a store whose tokens lie in memory-mapped
files of fixed size: instances repeat, clients do not. Measured in a process a
size: opening store and index, then the mean over rounds of drawing a cohort
of 32 clients with 4 steps of 4 examples, and of packing it; and the memory
beyond that of the process before (anonymous pages, which no kernel takes
back).
"""

import json
from pathlib import Path
import sys
import tempfile
import time

from absl import flags
import numpy as np

from benchmarks import children

_CLIENTS = flags.DEFINE_list(
    'clients', ['1000', '10000', '100000', '1000000'], 'Sizes.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 10, 'Rounds that are averaged.')

EACH = 8  # instances a client
TOKENS = 40  # of a query; a target has a tenth
COHORT = {'size': 32, 'num_steps': 4, 'batch_size': 4}


def main() -> None:
    runs = [
        children.run(__spec__.name, size, sys.argv[1:])
        for size in _CLIENTS.value
    ]
    print(json.dumps({'runs': runs}) if children.JSON.value else table(runs))


def measure(clients: int) -> dict[str, float]:
    """One size, in this process."""
    from fedprompt_jax.data.packing import Packer, Shape
    from fedprompt_jax.data.partitions import Clients
    from fedprompt_jax.data.sampling import sample_cohort

    with tempfile.TemporaryDirectory() as place:
        write_arrays(Path(place), clients)
        before, began = anonymous(), time.perf_counter()
        store = open_arrays(Path(place))
        order = np.load(Path(place) / 'order.npy', mmap_mode='r')
        starts = np.load(Path(place) / 'starts.npy', mmap_mode='r')
        population = Clients(order, starts, {})
        opened = time.perf_counter() - began
        packer = Packer(10, (Shape(256, 64, (8, 16)),))
        sampling = packing = 0.0
        for number in range(_ROUNDS.value):
            began = time.perf_counter()
            cohort = sample_cohort(
                store, population, seed=0, round=number, **COHORT
            )
            sampling += time.perf_counter() - began
            began = time.perf_counter()
            for examples in cohort.steps:
                packer.pack(examples, [1.0] * len(examples))
            packing += time.perf_counter() - began
        return {
            'clients': clients,
            'open_s': opened,
            'sampling_s': sampling / _ROUNDS.value,
            'packing_s': packing / _ROUNDS.value,
            'memory_mb': (anonymous() - before) / 1e6,
        }


def write_arrays(place: Path, clients: int) -> None:
    """The index of the clients, and a store of 8,192 instances."""
    rng = np.random.default_rng(0)
    instances = 1 << 13
    np.save(place / 'order.npy', rng.integers(instances, size=EACH * clients))
    np.save(place / 'starts.npy', np.arange(clients + 1) * EACH)
    for name, size in (('query', TOKENS), ('target', TOKENS // 10)):
        tokens = rng.integers(1, 1000, size * instances, np.int32)
        np.save(place / f'{name}_tokens.npy', tokens)
        np.save(place / f'{name}_starts.npy', np.arange(instances + 1) * size)


def open_arrays(place: Path):
    """A token store of the arrays; it has no texts."""
    from fedprompt_jax.data.store import TokenStore

    arrays = {
        name: np.load(place / f'{name}.npy', mmap_mode='r')
        for name in (
            'query_tokens', 'query_starts', 'target_tokens', 'target_starts',
        )
    }  # fmt: skip
    nothing = np.zeros(0, np.int32)
    others = {
        name: nothing
        for name in TokenStore.__dataclass_fields__
        if name not in arrays
    }
    fixed = {'fingerprint': '', 'objective': 'causal_lm', 'mask_id': None}
    fixed |= {'tasks': [], 'truncated': {}, 'client_names': []}
    return TokenStore(**{**others, **arrays, **fixed})


def anonymous() -> int:
    """Bytes of this process that belong to no file. Linux."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('RssAnon:'):
            return 1024 * int(line.split()[1])
    raise RuntimeError('/proc/self/status has no RssAnon')


def table(runs: list[dict]) -> str:
    """The same for people."""
    head = ('clients', 'open s', 'sampling s', 'packing s', 'memory MB')
    lines = [' '.join(f'{h:>11}' for h in head)]
    for r in runs:
        lines.append(
            f'{r["clients"]:11,} {r["open_s"]:11.3f} {r["sampling_s"]:11.3f} '
            f'{r["packing_s"]:11.3f} {r["memory_mb"]:11.1f}'
        )
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main, lambda part: measure(int(part)))
