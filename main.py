"""Federated prompt tuning, from a config to a run folder.

python main.py --config=configs/fedavg_adam.py
"""

import logging
import os
from pathlib import Path
import sys
import traceback

from absl import app, flags
from absl import logging as absl_logging

from fedprompt_jax.experiment import command_line

_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'The run folder; the default is runs/<config>-<scale>.'
)
_CACHE_DIR = command_line.define_cache_dir()
flags.adopt_module_key_flags(command_line)
_DISTRIBUTED = flags.DEFINE_bool(
    'distributed',
    False,
    'Take the processes of the run from Cloud TPU, GKE or SLURM.',
)
_COORDINATOR = flags.DEFINE_string(
    'coordinator',
    None,
    'host:port of the first process, where a run has several.',
)
_NUM_PROCESSES = flags.DEFINE_integer(
    'num_processes', None, 'The number of processes of the run.'
)
_PROCESS_ID = flags.DEFINE_integer(
    'process_id', None, 'The number of this process, from 0.'
)

TOGETHER = (
    'The processes of a run end together: this one ends the others, or they '
    'ended it. Start all of them again; they resume from the last checkpoint.'
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    # Orbax speaks at length at absl's INFO; our own lines go to stderr.
    absl_logging.set_verbosity(absl_logging.WARNING)
    own = logging.getLogger('fedprompt_jax')
    own.addHandler(logging.StreamHandler())
    own.setLevel(logging.INFO)
    own.propagate = False
    from fedprompt_jax.experiment import preemption, processes, run

    several = None
    try:
        several = processes.from_flags(
            _DISTRIBUTED.value,
            _COORDINATOR.value,
            _NUM_PROCESSES.value,
            _PROCESS_ID.value,
        )
        config = _CONFIG.value
        workdir = _WORKDIR.value or f'runs/{config.name}-{config.scale}'
        cache_dir = Path(_CACHE_DIR.value).expanduser()
        run.main(config, Path(workdir), cache_dir, several)
    except preemption.Preempted as stop:
        print(stop, file=sys.stderr)
        sys.exit(preemption.EXIT_CODE)
    except (OSError, ValueError, FloatingPointError) as error:
        _fail(f'error: {error}', several)
    except KeyboardInterrupt:
        text = '\ninterrupted; run the same command to resume.'
        _fail(text, several)
    except Exception:  # a fault of ours: the others must not wait for it
        if several is None:
            raise
        traceback.print_exc()
        _fail('error: see above.', several)


def _fail(text: str, several) -> None:
    """Ends the process; where there are several, that ends the others."""
    if several is None:
        sys.exit(text)
    print(f'{text}\n{TOGETHER}', file=sys.stderr, flush=True)
    os._exit(1)  # an orderly exit would wait for the others


if __name__ == '__main__':
    app.run(main, flags_parser=command_line.parse)
