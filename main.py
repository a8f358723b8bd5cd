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
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'The experiment: configs/<name>.py:<scale>.'
)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'The run folder; runs/<config>-<scale> where not given.'
)
_CACHE_DIR = flags.DEFINE_string(
    'cache_dir',
    (os.environ.get('XDG_CACHE_HOME') or '~/.cache') + '/fedprompt_jax',
    'Converted models, tokenised data and compiled programs.',
)
_DISTRIBUTED = flags.DEFINE_bool(
    'distributed',
    False,
    'One of several processes, which the cluster knows: Cloud TPU, GKE, SLURM.',
)
_COORDINATOR = flags.DEFINE_string(
    'coordinator', None, 'One of several processes: host:port of the first.'
)
_NUM_PROCESSES = flags.DEFINE_integer(
    'num_processes', None, 'How many they are.'
)
_PROCESS_ID = flags.DEFINE_integer('process_id', None, 'Which it is, from 0.')

TOGETHER = (
    'The processes of a run end together: this one ends the others, or they '
    'ended it. Start all of them again; they go on after the last checkpoint.'
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
        text = '\ninterrupted; the same command goes on where it stopped.'
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


def parse_flags(argv: list[str]) -> list[str]:
    """Flags as absl reads them; an unknown config key is a sentence."""
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit(f'error: {error}')
    except (AttributeError, KeyError) as error:  # it says what is near
        text = str(error.args[0] if error.args else error)
        text = ' '.join(text.replace('\\n', ' ').replace('\\', '').split())
        sys.exit(
            f'error: the config has no such key: {text}. All keys are in '
            'configs/fedavg_adam.py.'
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    flags.register_validator(
        'config',
        lambda config: config is not None,
        'give one, such as --config=configs/fedavg_adam.py.',
    )
    app.run(main, flags_parser=parse_flags)
