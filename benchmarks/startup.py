"""How long a user waits: for help, for an error, for the first step.

    python -m benchmarks.startup [--data=DIR] [--json]

Each is a process of its own, from its start: `main.py --help`; a config with
a fault; and a run whose one round is one step of one example, to the end of
that step, with an empty cache (the model is converted, the data tokenised,
programs compiled) and again with what the first start left.
"""

import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time

from benchmarks import children

ROOT = Path(__file__).parents[1]
ONE_STEP = {
    'rounds': 1,
    'clients_per_round': 1,
    'local_steps': 1,
    'batch_size': 1,
    'validation.every': 0,
}


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        found = {
            'help_s': seconds_to_end('--help'),
            'config_error_s': seconds_to_end(
                '--config=configs/fedavg_adam.py', '--config.batch_size=0'
            ),
            'first_start_s': seconds_to_step(Path(place), 'first'),
            'second_start_s': seconds_to_step(Path(place), 'second'),
        }
    if children.JSON.value:
        print(json.dumps({'data': children.DATA.value, **found}))
        return
    for name, seconds in found.items():
        print(
            f'{name.removesuffix("_s").replace("_", " "):14} {seconds:6.1f} s'
        )


def seconds_to_end(*argv: str) -> float:
    """Of main.py with these flags."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, 'main.py', *argv],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    return time.perf_counter() - began


def seconds_to_step(place: Path, name: str) -> float:
    """Until the first step's line is in the log; the run is then killed."""
    size = 60 if children.DATA.value == 'embedded' else 400
    data = Path(children.DATA.value)
    flags_given = ONE_STEP | {
        'data.path': data.absolute() if data.is_dir() else data,
        'data.client_size': size,
        'model.source': children.MODEL.value,
    }
    log = place / name / 'metrics.jsonl'
    began = time.perf_counter()
    with (place / f'{name}.err').open('wb') as errors:
        process = subprocess.Popen(
            [
                sys.executable,
                'main.py',
                '--config=configs/fedavg_adam.py',
                f'--workdir={place / name}',
                f'--cache_dir={place / "cache"}',
                *(f'--config.{k}={v}' for k, v in flags_given.items()),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        while not (log.exists() and '"train"' in log.read_text()):
            if process.poll() is not None:
                text = (place / f'{name}.err').read_text()
                raise RuntimeError(f'main.py ended early:\n{text[-3000:]}')
            time.sleep(0.02)
    seconds = time.perf_counter() - began
    process.kill()
    process.wait()
    return seconds


if __name__ == '__main__':
    children.start(main)
