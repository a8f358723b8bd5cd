"""The programs of several runs, compiled for slices of TPUs: one table.

    python -m benchmarks.compile [--only=REGEX] [--out=FILE] [--json]
        [--programs=REGEX]

It needs the extra tpu-compile and no TPU. A point is a config, a model, a kind
of trained parameters and a slice; each is compiled in a process of its own, by
`python -m fedprompt_jax.planning --compile`, and takes minutes. A row is a
program. All rows go to --out (JSON lines), and a point that is there already
is not compiled again. The process fails where a program does not compile, does
not fit its chip or breaks a law of planning/laws.py.

  quickstart, sni, paper    the scales of configs/fedavg_adam.py, in a prompt, a
                            prefix and LoRA: SmolLM2-135M and an 8B model
  encoder, t5               the sizes of RoBERTa large and T5 1.1 large
  1, 2x2, 4x4x4             chips: v5p, and v5e for 2x2 (its smallest slice)
  fsdp                      the base over all chips that rows are divided among

Of an absent data set the mean lengths of SNI's examples are assumed, and of the
encoder and T5 no file but a config.json is needed, which this script writes.
"""

import json
from pathlib import Path
import re
import subprocess
import sys
import tempfile
from typing import Any

from absl import flags

from benchmarks import children
from benchmarks.compile_points import MODELS, Point, points

_ONLY = flags.DEFINE_string('only', '', 'Points whose names match this regex.')
_PROGRAMS = flags.DEFINE_string('programs', '', 'Their programs, likewise.')
_OUT = flags.DEFINE_string('out', None, 'A file of rows, as JSON lines.')


def main() -> None:
    rows = read()
    done = {row['point'] for row in rows}
    for point in points():
        if point.name not in done and re.search(_ONLY.value, point.name):
            print(point.name, file=sys.stderr)
            rows += measure(point)
            write(rows)
    print(json.dumps({'rows': rows}) if children.JSON.value else table(rows))
    if any(row['fault'] or row['broken'] or not row['fits'] for row in rows):
        sys.exit(
            'error: a program does not compile, does not fit, or breaks a law'
        )


def measure(point: Point) -> list[dict[str, Any]]:
    """The rows of a point, compiled in a process of its own.

    Raises:
      RuntimeError: the process fails; its last words are in the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        changes = {'data.path': str(Path(folder) / 'absent')} | point.changes
        if point.scale == 'quickstart':
            changes['data.path'] = 'embedded'
        if point.model:
            changes['model.source'] = folder
            text = json.dumps(MODELS[point.model])
            (Path(folder) / 'config.json').write_text(text, 'utf-8')
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'fedprompt_jax.planning',
                f'--config=configs/fedavg_adam.py:{point.scale}',
                *(f'--config.{key}={value}' for key, value in changes.items()),
                '--compile',
                f'--chip={point.chip}',
                f'--topology={point.slice_}',
                f'--programs={_PROGRAMS.value}',
                f'--cache_dir={children.cache()}',
                '--json',
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f'{point.name} failed:\n{done.stderr[-3000:]}')
    plan = json.loads(done.stdout.splitlines()[-1])
    about = {'point': point.name, 'chip': point.chip, 'slice': point.slice_}
    return [
        about | row | {'fits': not (row['peak'] or 0) > plan['chip_memory']}
        for row in plan['programs']
    ]


def read() -> list[dict[str, Any]]:
    """Rows that were measured before."""
    if _OUT.value is None or not Path(_OUT.value).exists():
        return []
    lines = Path(_OUT.value).read_text('utf-8').splitlines()
    return [json.loads(line) for line in lines]


def write(rows: list[dict[str, Any]]) -> None:
    """Replaces the file by one that has these rows."""
    if _OUT.value is None:
        return
    part = Path(f'{_OUT.value}.new')
    part.write_text(''.join(json.dumps(row) + '\n' for row in rows), 'utf-8')
    part.replace(_OUT.value)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table, and what is at fault below it."""
    heads = (
        'point', 'program', 'compile s', 'arguments GB', 'temporaries GB',
        'peak GB', 'TFLOP', 'planned TFLOP', 'GB moved', 'MB sent',
    )  # fmt: skip
    lines = [heads, ['---'] * len(heads)]
    for row in rows:
        sent = sum(size for _, size in row['sent'].values()) / 1e6
        planned = row['planned']['flops']
        cells = [
            f'{row["seconds"]:.1f}',
            *(
                '' if number is None else f'{number / unit:.3f}'
                for number, unit in (
                    (row['arguments'], 1e9),
                    (row['temporaries'], 1e9),
                    (row['peak'], 1e9),
                    (row['flops'], 1e12),
                    (planned, 1e12),
                    (row['bytes'], 1e9),
                )
            ),
            f'{sent:.1f}',
        ]
        lines.append([f'{row["point"]} ({row["chip"]})', row['name'], *cells])
    text = ['| ' + ' | '.join(line) + ' |' for line in lines]
    for row in rows:
        faults = [row['fault'], *row['broken']]
        faults += [] if row['fits'] else ['It does not fit.']
        text += [
            f'{row["point"]}, {row["name"]}: {said}' for said in faults if said
        ]
    return '\n'.join(text)


if __name__ == '__main__':
    children.start(main)
