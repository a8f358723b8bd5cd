"""Eight learning rates: as eight runs, as one study, and as one bank.

    python -m benchmarks.study_bank [--flags=--config.rounds=2,...] [--json]

The quickstart, shortened, at the points of configs/studies/learning_rates.py:
main.py eight times; `python -m fedprompt_jax.study`; the same with
--together=8. All start with the same cache, in which the first of them found
the model and the tokens but no program. What the runs logged is compared: by
round, the largest relative difference of the training loss over all points.
"""

import json
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import flags

from benchmarks import children
from configs.studies import learning_rates

SHORT = [
    '--config.rounds=3',
    '--config.validation.every=3',
    '--config.personalization.epochs=1',
    '--config.personalization.every=1',
    '--config.personalization.alphas=()',
    '--config.personalization.eval_examples=4',
    '--config.personalization.global_examples=8',
]
_FLAGS = flags.DEFINE_list('flags', SHORT, 'Of main.py, for every run.')
ROOT = Path(__file__).parents[1]
CONFIG = '--config=configs/fedavg_adam.py'
WAYS = ('runs', 'study', 'bank')
# Of the first round's loss, relative; rounding grows from round to round.
TOLERANCE = {'study': 0.0, 'bank': 1e-3}


def main() -> None:
    seconds = {}
    with tempfile.TemporaryDirectory() as place:
        warm(Path(place))
        for way in WAYS:
            began = time.perf_counter()
            start(way, Path(place))
            seconds[f'{way}_s'] = time.perf_counter() - began
        found: dict[str, Any] = {'points': len(names()), **seconds}
        for way in WAYS[1:]:
            off = differences(Path(place), way)
            if not off[0] <= TOLERANCE[way]:
                raise RuntimeError(
                    f'{way}: the loss of the first round differs by '
                    f'{off[0]:.1e}, more than {TOLERANCE[way]:.0e}: no time '
                    'is reported.'
                )
            found[f'{way}_differs'] = off
    print(json.dumps(found) if children.JSON.value else table(found))


def names() -> list[str]:
    """Of the points' folders."""
    from fedprompt_jax.study.points import name_of

    return [name_of(overrides) for overrides in learning_rates.points()]


def warm(place: Path) -> None:
    """Converts the model and reads the data, and forgets the programs."""
    none = '--config.rounds=0', '--config.personalization.epochs=0'
    call(place, ['main.py'], 'warm', *none)
    shutil.rmtree(place / 'cache' / 'xla', ignore_errors=True)


def start(way: str, place: Path) -> None:
    """All points by one way; programs are compiled anew."""
    shutil.rmtree(place / 'cache' / 'xla', ignore_errors=True)
    if way == 'runs':
        points = zip(names(), learning_rates.points(), strict=True)
        for name, overrides in points:
            own = [f'--config.{k}={v}' for k, v in overrides.items()]
            call(place, ['main.py'], f'{way}/{name}', *own)
        return
    study = '--study=configs/studies/learning_rates.py'
    together = f'--together={len(names()) if way == "bank" else 1}'
    call(place, ['-m', 'fedprompt_jax.study'], way, study, together)


def call(place: Path, program: list[str], workdir: str, *own: str) -> None:
    """A program of the project, with the flags of every run and its own.

    Raises:
      RuntimeError: it fails.
    """
    folders = [f'--workdir={place / workdir}', f'--cache_dir={place / "cache"}']
    done = subprocess.run(
        [sys.executable, *program, CONFIG, *folders, *_FLAGS.value, *own],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f'{program} {own} failed:\n{done.stderr[-3000:]}')


def differences(place: Path, way: str) -> list[float]:
    """By round, the largest relative difference of the loss from 'runs'."""
    worst: list[float] = []
    for name in names():
        ours, theirs = (losses(place / w / name) for w in (way, 'runs'))
        pairs = zip(ours, theirs, strict=True)
        off = [abs(a - b) / abs(b) for a, b in pairs]
        worst = [max(p) for p in zip(off, worst or off, strict=True)]
    return worst


def losses(run: Path) -> list[float]:
    """Training losses of a run, round by round."""
    lines = (run / 'metrics.jsonl').read_text('utf-8').splitlines()
    rows = [json.loads(line) for line in lines]
    return [row['loss'] for row in rows if row['stage'] == 'train']


def table(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f'{found["points"]} points']
    for way in WAYS:
        line = f'{way:6} {found[f"{way}_s"]:7.1f} s'
        if off := found.get(f'{way}_differs'):
            said = ', '.join(f'{x:.1e}' for x in off)
            line += f'   loss differs by round: {said}'
        lines.append(line)
    return '\n'.join(lines)


if __name__ == '__main__':
    children.start(main)
