"""A generated population of many clients: start-up, sampling, memory.

    python -m benchmarks.population [--clients=1000,10000,100000,1000000]

A client has eight instances of a store whose tokens lie in memory-mapped
files of fixed size: instances repeat, clients do not. Measured in a process a
size: opening store and index, then the mean over rounds of drawing a cohort
of 32 clients with 4 steps of 4 examples, and of packing it; and the memory
beyond that of the process before (anonymous pages, which no kernel takes
back).

With --kept_floats each client keeps so many numbers between rounds. Then also
the mean over --kept_rounds rounds of --kept_cohort clients: taking out their
rows and storing changed ones, and a checkpoint after each round with its bytes;
and the memory and the files after the last round.
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
_KEPT_FLOATS = flags.DEFINE_integer(
    'kept_floats', 0, 'Numbers (f32) that a client keeps; 0 for none.'
)
_KEPT_ROUNDS = flags.DEFINE_integer('kept_rounds', 100, 'Rounds of these.')
_KEPT_COHORT = flags.DEFINE_integer('kept_cohort', 100, 'Clients of a round.')
_MEMORY_GB = flags.DEFINE_float(
    'memory_gb', 4.0, 'Most memory of rows, as config.client_store.memory_gb.'
)

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
            **(kept(clients, Path(place)) if _KEPT_FLOATS.value else {}),
        }


def kept(clients: int, place: Path) -> dict[str, float]:
    """Of rounds whose clients keep something; see above."""
    import jax

    from fedprompt_jax.data.randomness import generator
    from fedprompt_jax.federated.client_store import ClientStore

    count, folder = _KEPT_FLOATS.value, place / 'clients'
    before, began = anonymous(), time.perf_counter()
    like = {'kept': jax.ShapeDtypeStruct((count,), np.float32)}
    store = ClientStore(like, _MEMORY_GB.value * 1e9)
    never = {'kept': np.zeros(count, np.float32)}
    opened, rounds, saves, written = time.perf_counter() - began, 0.0, 0.0, 0
    for number in range(_KEPT_ROUNDS.value):
        began = time.perf_counter()
        rng = generator(0, 'cohort', number)
        cohort = rng.choice(clients, _KEPT_COHORT.value, replace=False)
        rows = store.take(cohort, never)['kept']
        store.put(cohort, {'kept': rows + 1})
        rounds += time.perf_counter() - began
        began, old = time.perf_counter(), size_of(folder)
        files = store.save(folder, f'{number:08}')
        saves += time.perf_counter() - began
        written += size_of(folder) - old
        # As a run does, with one checkpoint.
        named = {name for entry in files for name in entry['sha256']}
        for path in folder.glob('*'):
            if path.name not in named:
                path.unlink()
    return {
        'kept_open_s': opened,
        'kept_round_s': rounds / _KEPT_ROUNDS.value,
        'kept_save_s': saves / _KEPT_ROUNDS.value,
        'kept_saved_mb': written / 1e6 / _KEPT_ROUNDS.value,
        'kept_clients': len(store),
        'kept_memory_mb': (anonymous() - before) / 1e6,
        'kept_files_mb': size_of(folder) / 1e6,
    }


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(p.stat().st_size for p in folder.glob('*'))


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
    width = max(map(len, runs[0])) + 2
    lines = [''.join(f'{key:>{width}}' for key in runs[0])]
    for r in runs:
        numbers = (
            f'{x:,}' if isinstance(x, int) else f'{x:.4g}' for x in r.values()
        )
        lines.append(''.join(f'{n:>{width}}' for n in numbers))
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main, lambda part: measure(int(part)))
