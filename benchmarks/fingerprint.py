"""What it costs to know a model by all of its bytes.

    python -m benchmarks.fingerprint [--gigabytes=4] [--shards=4]

A run folder refuses other weights than its own by a hash of every byte of the
checkpoint. Measured on shards of random bytes: hashing them for the first time
(in threads), and at a second start, when the hashes are remembered. The files
were written just before, so that they are in the page cache.
"""

import json
from pathlib import Path
import shutil
import struct
import tempfile
import time

from absl import flags
import numpy as np

from benchmarks import children

_GIGABYTES = flags.DEFINE_float('gigabytes', 4.0, 'Size of the checkpoint.')
_SHARDS = flags.DEFINE_integer('shards', 4, 'Files that it lies in.')
_PIECE = 1 << 24  # bytes


def main() -> None:
    children.cache().mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=children.cache()))
    try:
        write(place / 'model')
        result = measure(place / 'model', place / 'cache')
    finally:
        shutil.rmtree(place)
    print(json.dumps(result) if children.JSON.value else table(result))


def write(folder: Path) -> None:
    """A checkpoint of random bytes, its shards listed in an index."""
    folder.mkdir()
    size = int(_GIGABYTES.value * 1e9 / _SHARDS.value)
    names = {f'x{i}': f'model-{i}.safetensors' for i in range(_SHARDS.value)}
    index = {'weight_map': names}
    path = folder / 'model.safetensors.index.json'
    path.write_text(json.dumps(index), 'utf-8')
    piece = np.random.default_rng(0).bytes(_PIECE)
    for tensor, name in names.items():
        entry = {'dtype': 'U8', 'shape': [size], 'data_offsets': [0, size]}
        header = json.dumps({tensor: entry}).encode()
        with (folder / name).open('wb') as file:
            file.write(struct.pack('<Q', len(header)) + header)
            for start in range(0, size, _PIECE):
                file.write(piece[: size - start])


def measure(folder: Path, cache: Path) -> dict[str, float]:
    """Seconds of the first start and of the second."""
    from fedprompt_jax import digests
    from fedprompt_jax.models.shards import checkpoint_fingerprint

    time.sleep(digests.SETTLED + 0.1)  # what is younger is not remembered
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        checkpoint_fingerprint(folder, cache)
        seconds.append(time.perf_counter() - began)
    first, second = seconds
    return {
        'gigabytes': _GIGABYTES.value,
        'first_s': first,
        'gigabytes_per_s': _GIGABYTES.value / first,
        'second_s': second,
    }


def table(result: dict[str, float]) -> str:
    """The same for people."""
    return (
        '{gigabytes:.1f} GB: first start {first_s:.2f} s '
        '({gigabytes_per_s:.2f} GB/s), second {second_s:.4f} s'
    ).format(**result)


if __name__ == '__main__':
    children.start(main)
