"""Seconds and memory of a call, and what the machine could do at most.

Nothing here reads a flag, so that tests can call it.
"""

from collections.abc import Callable
import functools
import resource
import sys
import time
from typing import Any


def peak_memory() -> float:
    """Bytes: of JAX's accelerator, of this process where there is none."""
    import jax

    if jax.default_backend() != 'cpu':
        return jax.local_devices()[0].memory_stats()['peak_bytes_in_use']
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == 'darwin' else 1024)


def use_torch() -> Callable[[], float]:
    """Lets PyTorch make its tensors on its accelerator, if there is one.

    Returns:
      What tells its peak of memory in bytes, see measure.
    """
    import torch

    if not torch.cuda.is_available():
        return peak_memory
    torch.set_default_device('cuda')
    return torch.cuda.max_memory_allocated


def measure(
    call: Callable[[], Any],
    repeats: int,
    peak: Callable[[], float] = peak_memory,
) -> dict[str, float]:
    """Seconds of a call that waits for its result: the first, and the rest.

    Returns:
      'first_s' of the first call, and 'compile_s', the seconds of it in which
      JAX compiled; 'median_s', 'min_s' and 'max_s' of `repeats` others (of
      the first where that is 0: it compiles), and what `peak` says at the
      end, as 'peak_memory_gb' (10^9 bytes).
    """
    from fedprompt_jax.experiment.compilations import Compilations

    compilations, compiled, seconds = Compilations(), [], []
    for _ in range(1 + repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
        compiled.append(compilations.seconds)
    rest = sorted(seconds[1:] or seconds)
    return {
        'first_s': seconds[0],
        'compile_s': compiled[0],
        'median_s': rest[len(rest) // 2],
        'min_s': rest[0],
        'max_s': rest[-1],
        'peak_memory_gb': peak() / 1e9,
    }


def gemm_flops(dtype: str = 'float32', repeats: int = 5) -> float:
    """Floating-point operations a second of a square matrix product.

    It has 2048 rows on a CPU, 8192 on an accelerator.
    """
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.default_backend() == 'cpu' else 8192
    a = jnp.ones((size, size), dtype)
    # Exact f32 in f32, as runs compute.
    product = jax.jit(functools.partial(jnp.matmul, precision='highest'))
    seconds = measure(lambda: product(a, a).block_until_ready(), repeats)
    return 2 * size**3 / seconds['min_s']
