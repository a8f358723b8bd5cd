"""Scores the layers of a config's model, and says which would travel.

  python -m fedprompt_jax.layers --config=configs/fedpeptao/rte.py \\
      --config.data.path=DIR/rte [--out=layers.png]

It runs what FedPepTAO does before its first round, and no round: the stages
'layer_ratio' (if config.fedpeptao.estimate_ratio) and 'layers'. Where the
released code of FedPepTAO has an example of the same model and task, its choice
stands beside.
"""

import json
from pathlib import Path
import sys

from absl import app, flags
from absl import logging as absl_logging

from fedprompt_jax.experiment import command_line, layer_choice
from fedprompt_jax.report.figures import layers as figures

_CONFIG = command_line.define_config()
_CACHE_DIR = command_line.define_cache_dir()
flags.adopt_module_key_flags(command_line)
_OUT = flags.DEFINE_string(
    'out', '', 'A figure (.png) to write; by default none.'
)
_JSON = flags.DEFINE_bool('json', False, 'Print one JSON object instead.')


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    absl_logging.set_verbosity(absl_logging.WARNING)
    try:
        cache_dir = Path(_CACHE_DIR.value).expanduser()
        found = layer_choice.collect(_CONFIG.value, cache_dir)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    if _OUT.value:
        if (figure := figures.figure_of(found)) is not None:
            figure.savefig(_OUT.value)
    print(json.dumps(found) if _JSON.value else layer_choice.text(found))


if __name__ == '__main__':
    app.run(main, flags_parser=command_line.parse)
