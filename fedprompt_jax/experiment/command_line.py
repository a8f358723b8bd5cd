"""Flags that name a config, and their errors as sentences."""

from collections.abc import Sequence
import os
import re
import sys

from absl import flags
from ml_collections import config_flags


def define_config():
    """Defines --config and, for it, --config.<key>; returns the holder."""
    holder = config_flags.DEFINE_config_file(
        'config',
        None,
        'The config of the experiment: configs/<name>.py:<scale>.',
    )
    flags.register_validator(
        'config',
        lambda config: config is not None,
        'give one, such as --config=configs/fedavg_adam.py.',
    )
    return holder


def define_cache_dir():
    """Defines --cache_dir; returns the holder."""
    return flags.DEFINE_string(
        'cache_dir',
        (os.environ.get('XDG_CACHE_HOME') or '~/.cache') + '/fedprompt_jax',
        'A folder for converted models, tokenised data and compiled programs.',
    )


def parse(argv: Sequence[str]) -> list[str]:
    """Parses the flags; returns the other arguments, the program's name first.

    A fault of the flags or of the config ends the program with a sentence.
    """
    try:
        rest = flags.FLAGS(argv)
        if flags.FLAGS.config is not None:
            flags.FLAGS.config.keys()  # raises where the file is missing
        return rest
    except flags.Error as error:
        sys.exit(f'error: {_sentence(str(error))}')
    except (AttributeError, KeyError) as error:  # it names similar keys
        text = str(error.args[0] if error.args else error)
        text = ' '.join(text.replace('\\n', ' ').replace('\\', '').split())
        sys.exit(
            f'error: the config has no such key: {text}. All keys are in '
            'configs/fedavg_adam.py.'
        )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {_sentence(str(error))}')


def _sentence(message: str) -> str:
    """A sentence for the message of ml_collections on a file it cannot load.

    A ValueError of the file is meant for the user; another is a fault of the
    file, whose traceback stays.
    """
    if match := re.search(r"No such file or directory: '(.*)'", message):
        return (
            f'--config={match[1]} does not exist; give one, such as '
            '--config=configs/fedavg_adam.py.'
        )
    match = re.search(r'\nValueError: (.*)\s*$', message, re.DOTALL)
    return match[1].strip() if match else message
