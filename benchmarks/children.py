"""What benchmarks share: flags, and a process of its own for each figure.

A fresh process has freed nothing before and compiled nothing yet, and its
peak of memory is its own.
"""

from collections.abc import Callable, Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
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
