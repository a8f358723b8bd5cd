"""What a chip can do: memory, operations a second, bytes a second.

The figures are those that vendors give for dense products. Only the CPU is
measured.
"""

from collections.abc import Callable
import math
import os
import time
from typing import Any, NamedTuple

import ml_dtypes  # noqa: F401 (numpy learns bfloat16 from it)
import numpy as np


class Chip(NamedTuple):
    """One device of a mesh.

    Attributes:
      memory: size of its memory in bytes.
      flops: dtype -> floating-point operations a second of matrix products.
      bandwidth: bytes a second that it reads from its memory.
      share: the part of `flops` that the matrix products of a whole step are
        expected to reach, from 0 to 1.
      measured: whether `flops` and `bandwidth` were measured.
      links: bytes a second that all of its links to other chips carry, both
        directions together; infinite where nothing is known of them.
    """

    memory: float
    flops: dict[str, float]
    bandwidth: float
    share: float
    measured: bool = False
    links: float = math.inf


ASSUMED = 0.5  # Chip.share of accelerators; not measured
CPU_SHARE = 0.7  # Chip.share of a CPU, measured: see benchmarks/RESULTS.md


def _chip(
    gigabytes: float, bf16: float, f32: float, bandwidth: float, links: float
) -> Chip:
    """Makes a Chip from GB, TFLOP/s of bf16 and of exact f32, and GB/s."""
    flops = {'bfloat16': bf16 * 1e12, 'float32': f32 * 1e12}
    return Chip(
        gigabytes * 1e9, flops, bandwidth * 1e9, ASSUMED, links=links * 1e9
    )


# Google's pages of each TPU version (docs.cloud.google.com/tpu/docs/v5p and so
# on): HBM bandwidth, and bidirectional bandwidth of the inter-chip interconnect
# (of a v4, six links of 50 GB/s in each direction). A TPU multiplies exact f32
# numbers in six passes of bf16.
CHIPS = {
    'v4': _chip(32, 275, 275 / 6, 1228, 600),
    'v5e': _chip(16, 197, 197 / 6, 819, 400),
    'v5p': _chip(95, 459, 459 / 6, 2765, 1200),
    'v6e': _chip(32, 918, 918 / 6, 1640, 800),
    # Half of a chip: JAX sees it as two.
    'tpu7x': _chip(96, 1153.5, 1153.5 / 6, 3690, 1200 / 2),
    # NVIDIA's data sheets: of an L4 PCIe 4, of the others NVLink. The SXM
    # parts, without sparsity; f32 is that of the plain units, not of TF32.
    'l4': _chip(24, 121, 30, 300, 64),
    'a100': _chip(80, 312, 19.5, 2039, 600),
    'h100': _chip(80, 989, 67, 3350, 900),
    'h200': _chip(141, 989, 67, 4800, 900),
}
CPU = 'cpu'  # this machine, measured
REPEATS = 6


def get(name: str) -> Chip:
    """The chip of that name; 'cpu' measures this machine, for some seconds.

    Args:
      name: a key of CHIPS, or CPU.
    """
    return measure() if name == CPU else CHIPS[name]


def machine(name: str) -> str:
    """'cpu', 'gpu' or 'tpu': what a chip is."""
    if name == CPU:
        return 'cpu'
    return 'tpu' if name.startswith(('v', 'tpu')) else 'gpu'


def measure() -> Chip:
    """Measures this machine as one chip, by a matrix product and a copy."""
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
    seconds = fastest(double, x)  # reads x once and writes as many bytes
    pages = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return Chip(pages, flops, 2 * x.nbytes / seconds, CPU_SHARE, True)


def fastest(call: Callable[..., Any], *args: Any) -> float:
    """Seconds of the fastest of REPEATS calls, after one that compiles.

    Args:
      call: returns one JAX array.
      *args: its arguments.
    """
    call(*args).block_until_ready()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call(*args).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return min(seconds)
