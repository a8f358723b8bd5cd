"""Prints the training clients of a config: their sizes and their task types.

  python -m fedprompt_jax.clients --config=configs/fedpeptao/sst2.py \\
      --config.data.path=DIR/sst2 [--out=clients.png]

The types of a classification set are its label words. With an official split
it also prints the clients' parts of the test data.
"""

import json
from pathlib import Path
import sys

from absl import app, flags
from absl import logging as absl_logging

from fedprompt_jax.experiment import client_types, command_line

_CONFIG = command_line.define_config()
_CACHE_DIR = command_line.define_cache_dir()
flags.adopt_module_key_flags(command_line)
_OUT = flags.DEFINE_string('out', '', 'A file for the figure (.png); none.')
_JSON = flags.DEFINE_bool('json', False, 'Print one JSON object instead.')


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        cache_dir = Path(_CACHE_DIR.value).expanduser()
        found = client_types.collect(_CONFIG.value, cache_dir)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    if _OUT.value:
        client_types.figure_of(found).savefig(_OUT.value)
    print(json.dumps(found) if _JSON.value else client_types.text(found))


if __name__ == '__main__':
    app.run(main, flags_parser=command_line.parse)
