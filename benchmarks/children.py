"""What benchmarks share: flags, and a process of its own for each figure.

A fresh process has freed nothing before and compiled nothing yet, and its
peak of memory is its own.
"""

from collections.abc import Callable, Sequence
import functools
import json
import os
from pathlib import Path
import resource
import subprocess
import sys
import time
from typing import Any

from absl import app, flags

DATA = flags.DEFINE_string(
    'data',
    '../shared/sni' if Path('../shared/sni').is_dir() else 'embedded',
    'A folder of SNI tasks.',
)
MODEL = flags.DEFINE_string('model', 'smollm2-135m-instruct', 'The LM.')
SIZE = flags.DEFINE_integer('client_size', 200, 'Instances a client.')
CACHE = flags.DEFINE_string(
    'cache_dir',
    (os.environ.get('XDG_CACHE_HOME') or '~/.cache') + '/fedprompt_jax',
    'Converted models and tokenised data.',
)
JSON = flags.DEFINE_bool('json', False, 'Print one JSON object instead.')
# Environment of a part that PyTorch computes: JAX, which reads the data there,
# leaves the accelerator to it.
TORCH = {'JAX_PLATFORMS': 'cpu'}
PART = flags.DEFINE_string('part', None, 'Internal: measure this one.')


def start(
    main: Callable[[], None], measure: Callable[[str], Any] | None = None
) -> None:
    """Runs a benchmark's main, or measures one part of it in a child.

    Args:
      main: calls `run` for its parts, and prints what they found.
      measure: what a part found, for JSON.
    """

    def run_main(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f'unexpected arguments: {argv[1:]}')
        if PART.value and measure is not None:
            print(json.dumps(measure(PART.value)))
        else:
            main()

    app.run(run_main)


def make_config():
    """The shipped config with the model and the data of the flags."""
    from configs import fedavg_adam

    config = fedavg_adam.get_config()
    embedded = DATA.value == 'embedded'
    config.model.source, config.data.path = MODEL.value, DATA.value
    config.data.client_size = 60 if embedded else SIZE.value
    config.data.max_query = 256
    return config


def cache() -> Path:
    """The folder of --cache_dir."""
    return Path(CACHE.value).expanduser()


def run(
    module: str, part: str, argv: Sequence[str], **env: str
) -> dict[str, Any]:
    """What `python -m module --part=part argv` prints as JSON at its end.

    Args:
      module: of the benchmark.
      part: what is measured.
      argv: the flags that were given.
      **env: changes of its environment.

    Raises:
      RuntimeError: the process fails; its last words are in the message.
    """
    done = subprocess.run(
        [sys.executable, '-m', module, *argv, f'--part={part}'],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f'{module} {part} failed:\n{done.stderr[-3000:]}')
    return json.loads(done.stdout.splitlines()[-1])


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
