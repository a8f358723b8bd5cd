"""Federated prompt tuning, from a config to a run folder.

python main.py --config=configs/fedavg_adam.py
"""

import logging
import os
from pathlib import Path
import sys

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


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    # Orbax speaks at length at absl's INFO; our own lines go to stderr.
    absl_logging.set_verbosity(absl_logging.WARNING)
    own = logging.getLogger('fedprompt_jax')
    own.addHandler(logging.StreamHandler())
    own.setLevel(logging.INFO)
    own.propagate = False
    from fedprompt_jax.experiment import run

    try:
        config = _CONFIG.value
        workdir = _WORKDIR.value or f'runs/{config.name}-{config.scale}'
        run.main(config, Path(workdir), Path(_CACHE_DIR.value).expanduser())
    except (OSError, ValueError, FloatingPointError) as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit('\ninterrupted; the same command goes on where it stopped.')


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
    flags.mark_flag_as_required('config')
    app.run(main, flags_parser=parse_flags)
