"""Prints what a run will need before it starts: memory, time, bytes sent.

    python -m fedprompt_jax.planning --config=configs/fedavg_adam.py:paper \\
        --chip=v5p --chips=64

Row shapes and tokens come from the data where model and data are on this
machine, else from the mean lengths that --query_tokens and --target_tokens
give. No weights are loaded onto a device (a GGUF file is converted into the
cache, as a run would do); --chip=cpu measures this machine's CPU first.
Communication between chips is not counted: on a data mesh the bank's gradient
is sent once a step; with config.mesh.fsdp the base is sent too, twice for each
gradient and once for each batch of queries.

    python -m fedprompt_jax.planning --config=configs/fedavg_adam.py:paper \\
        --compile --chip=v5p --topology=4x4x4

also compiles the run's own programs for that slice, which need not be here:
docs/planning.md says what it prints. It needs the extra tpu-compile.
"""

import json
from pathlib import Path
import sys

from absl import app, flags
from absl import logging as absl_logging

from fedprompt_jax.experiment import command_line
from fedprompt_jax.planning import chips, topology
from fedprompt_jax.planning import plan as plan_lib

_CONFIG = command_line.define_config()
_CACHE_DIR = command_line.define_cache_dir()
flags.adopt_module_key_flags(command_line)
_CHIP = flags.DEFINE_enum(
    'chip',
    None,
    [*chips.CHIPS, chips.CPU],
    "The kind of chip that the plan is for; 'cpu' measures this machine.",
)
_CHIPS = flags.DEFINE_integer(
    'chips',
    None,
    'The number of chips in the mesh; 1, or those of --topology.',
    lower_bound=1,
)
_COMPILE = flags.DEFINE_bool(
    'compile', False, "Compile the run's programs for the slice of --topology."
)
_TOPOLOGY = flags.DEFINE_string(
    'topology',
    '1',
    'The slice to compile for, such as 4x4x4; or the number of GPUs.',
)
_TEXTS = flags.DEFINE_string(
    'texts', None, 'A folder for the text (HLO) of each compiled program.'
)
_PROGRAMS = flags.DEFINE_string(
    'programs', '', 'Compile only programs whose names match this regex.'
)
# Means over 200 of Super-NaturalInstructions' tasks, SmolLM2's tokens.
_QUERY = flags.DEFINE_integer(
    'query_tokens',
    61,
    'The mean number of tokens of a query, used if the data are absent.',
    lower_bound=1,
)
_TARGET = flags.DEFINE_integer(
    'target_tokens',
    12,
    'The mean number of tokens of a target, used if the data are absent.',
    lower_bound=1,
)
_JSON = flags.DEFINE_bool(
    'json', False, 'Print the plan as one JSON object instead.'
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    absl_logging.set_verbosity(absl_logging.WARNING)
    config, chip = _CONFIG.value, _CHIP.value or ''
    lengths = _QUERY.value, _TARGET.value
    cache_dir = Path(_CACHE_DIR.value).expanduser()
    try:
        chips_there = _CHIPS.value or 1
        if _COMPILE.value:
            chips_there = topology.check(chip, _TOPOLOGY.value)
            topology.prepare(chip)
        plan_lib.check(config, chips_there, chip)
        inputs = plan_lib.read(config, lengths, cache_dir)
        forecast = plan_lib.plan(
            config, chip, chips_there, lengths, cache_dir, inputs=inputs
        )
        text = plan_lib.text(forecast)
        if _COMPILE.value:
            from fedprompt_jax.planning import compiled, compiled_text

            found = compiled.compile_run(
                config, inputs, chip, _TOPOLOGY.value, _PROGRAMS.value
            )
            if _TEXTS.value:
                compiled_text.write(found, Path(_TEXTS.value))
            forecast['programs'] = compiled_text.as_json(found)
            text += '\n\n' + compiled_text.text(
                found, config, chips.get(chip), forecast['levers']
            )
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    print(json.dumps(forecast) if _JSON.value else text)


if __name__ == '__main__':
    flags.register_validator(
        'chip',
        lambda chip: chip is not None,
        f'give one of {", ".join([*chips.CHIPS, chips.CPU])}.',
    )
    app.run(main, flags_parser=command_line.parse)
