"""What a chip can do: memory, operations a second, bytes a second.

Vendors' figures of dense products; what is measured here is the CPU alone.
"""

from collections.abc import Callable
import os
import time
from typing import Any, NamedTuple

import ml_dtypes  # noqa: F401 (numpy learns bfloat16 from it)
import numpy as np


class Chip(NamedTuple):
    """One device of a mesh.

    Attributes:
      memory: bytes.
      flops: dtype -> floating-point operations a second of matrix products.
      bandwidth: bytes a second from its memory.
      share: of `flops`, what matrix products of a whole step are expected to
        reach.
      measured: whether `flops` and `bandwidth` are measured ones.
    """

    memory: float
    flops: dict[str, float]
    bandwidth: float
    share: float
    measured: bool = False


ASSUMED = 0.5  # share of the vendor's figure; nobody has measured it here
CPU_SHARE = 0.7  # of the product beside it, on one: benchmarks/RESULTS.md


def _chip(gigabytes: float, bf16: float, f32: float, bandwidth: float) -> Chip:
    """Makes a Chip from GB, TFLOP/s of bf16 and of exact f32, and GB/s."""
    flops = {'bfloat16': bf16 * 1e12, 'float32': f32 * 1e12}
    return Chip(gigabytes * 1e9, flops, bandwidth * 1e9, ASSUMED)


# A TPU multiplies exact f32 numbers in six passes of bf16.
CHIPS = {
    'v4': _chip(32, 275, 275 / 6, 1228),
    'v5e': _chip(16, 197, 197 / 6, 819),
    'v5p': _chip(95, 459, 459 / 6, 2765),
    'v6e': _chip(32, 918, 918 / 6, 1640),
    'tpu7x': _chip(96, 1153.5, 1153.5 / 6, 3690),  # half: JAX sees it as two
    'l4': _chip(24, 121, 30, 300),
    'a100': _chip(80, 312, 19.5, 2039),
    'h100': _chip(80, 989, 67, 3350),
    'h200': _chip(141, 989, 67, 4800),
}
CPU = 'cpu'  # this machine, measured
REPEATS = 6


def get(name: str) -> Chip:
    """A chip by its name; 'cpu' measures this machine, which takes seconds."""
    return measure() if name == CPU else CHIPS[name]


def measure() -> Chip:
    """This machine as one chip, by a product and a copy."""
    import jax
    import jax.numpy as jnp

    host = jax.devices('cpu')[0]
    size = 2048
    flops = {}
    for dtype in ('float32', 'bfloat16'):
        a = jax.device_put(np.ones((size, size), dtype), host)
        product = jax.jit(jnp.matmul)
        flops[dtype] = 2 * size**3 / fastest(product, a, a)
    x = jax.device_put(np.ones(1 << 26, np.float32), host)
    double = jax.jit(lambda x: 2 * x)
    seconds = fastest(double, x)
    pages = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return Chip(pages, flops, 2 * x.nbytes / seconds, CPU_SHARE, True)


def fastest(call: Callable[..., Any], *args: Any) -> float:
    """Seconds of the fastest of REPEATS calls that return an array."""
    call(*args).block_until_ready()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call(*args).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
