"""What is printed of the programs of a run that were compiled."""

from collections.abc import Mapping, Sequence
import math
from pathlib import Path
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.planning.chips import Chip
from fedprompt_jax.planning.compiled import Compiled

# Most copies and movers that are shown, and the least share of the bytes moved.
COPIES, MOVERS, NOTABLE = 5, 8, 0.01
APART = 0.15  # a larger difference from the compiler's figure is pointed out


def as_json(found: Sequence[Compiled]) -> list[dict[str, Any]]:
    """Compiled programs as JSON objects, without their texts; None for NaN."""

    def known(x: Any) -> Any:
        if isinstance(x, Mapping):
            return {key: known(value) for key, value in x.items()}
        return None if isinstance(x, float) and math.isnan(x) else x

    return [
        known(x._asdict() | {'planned': x.planned._asdict(), 'text': ''})
        for x in found
    ]


def write(found: Sequence[Compiled], folder: Path) -> None:
    """Writes the text of each program to NAME.hlo.txt in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for made in found:
        name = made.name.replace(' ', '_')
        (folder / f'{name}.hlo.txt').write_text(made.text, 'utf-8')


def text(
    found: Sequence[Compiled],
    config: config_dict.ConfigDict,
    chip: Chip,
    levers: Sequence[str],
) -> str:
    """What is printed of the programs of a run.

    Args:
      found: of compile_run.
      config: of the run.
      chip: each device of the mesh.
      levers: of plan.levers.
    """
    dtype = config.model.dtype
    parts = ['\n'.join(report(made, chip, dtype, levers)) for made in found]
    seconds, tokens = decode_bound({x.name: x for x in found}, chip, dtype)
    if not math.isnan(tokens):
        parts.append(
            f'A step of decoding takes at least {1e3 * seconds:.3f} ms: at '
            f'most {tokens:,.0f} tokens a second, written by all chips.'
        )
    return '\n\n'.join(parts)


def report(
    made: Compiled, chip: Chip, dtype: str, levers: Sequence[str]
) -> list[str]:
    """What is printed of one program, as lines.

    Args:
      made: the program.
      chip: each device of the mesh.
      dtype: config.model.dtype.
      levers: of plan.levers, for a program that does not fit.
    """
    lines = [f'{made.name}{_size(made)}']

    def add(what: str, text: str) -> None:
        lines.append(f'  {what:22} {text}')

    add('compiled in', f'{made.seconds:9.2f} s')
    short = made.peak > chip.memory
    if made.fault or short:
        fault = made.fault or (
            f'It does not fit: it needs {made.peak / 1e9:.2f} GB of a chip, '
            f'{(made.peak - chip.memory) / 1e9:.2f} GB more than it has.'
        )
        add('fault', f'{fault} To make it fit, {"; or ".join(levers)}.')
        for bytes_, what in made.largest:
            add('', f'{bytes_ / 1e9:9.2f} GB  {what}')
        if made.fault:
            if not math.isnan(made.planned.temporaries):
                planned = made.planned.temporaries
                add('', f'{planned / 1e9:9.2f} GB  of temporaries, as planned')
            return lines
    temporaries = _beside(made.temporaries, made.planned.temporaries, 1e9)
    add('arguments, GB', f'{made.arguments / 1e9:9.3f}')
    add('temporaries, GB', f'{made.temporaries / 1e9:9.3f}{temporaries}')
    add('peak, GB', f'{made.peak / 1e9:9.3f} of {chip.memory / 1e9:.0f}')
    flops = _beside(made.flops, made.planned.flops, 1e12)
    add('TFLOP', f'{made.flops / 1e12:9.3f}{flops}')
    add('GB moved', f'{made.bytes / 1e9:9.3f}')
    for mover in made.movers[:MOVERS]:
        if mover.bytes > made.bytes * NOTABLE:
            add(
                '',
                f'{mover.bytes / 1e9:9.3f} in {mover.times:,.0f}: {mover.what}',
            )
    for copied, what in made.copies[:COPIES]:
        if copied > made.bytes * NOTABLE:
            add('GB copied', f'{copied / 1e9:9.3f} of {what}')
    for kind, (times, sent) in made.sent.items():
        add(kind, f'{times:9.0f} times, {sent / 1e6:.3f} MB')
    for kernel, times in made.kernels.items():
        add('kernel', f'{times:9.0f} times {kernel}')
    if bound := _bound(made, chip, dtype):
        add('at least, ms', bound)
    lines += [f'  law: {sentence}' for sentence in made.broken]
    return lines


def _size(made: Compiled) -> str:
    """The size of a program's batch; '' where it reads none."""
    if not made.size:
        return ''
    rows, tokens, more = made.size
    last = 'new tokens' if made.name in ('prefill', 'decoding') else 'targets'
    return f': {rows:,} rows, {tokens:,} tokens, {more:,} {last}'


def _bound(made: Compiled, chip: Chip, dtype: str) -> str:
    """Milliseconds that a program takes at least, and what takes them.

    Beside it the time of each of the others, as a share of that.
    """
    floor = made.floor(chip, dtype)
    longest = max(floor, key=lambda part: floor[part])
    seconds = floor[longest]
    if not seconds:
        return ''
    shares = ', '.join(f'{k} {v / seconds:.0%}' for k, v in floor.items() if v)
    return f'{1e3 * seconds:9.3f}, bound by {longest} ({shares})'


def decode_bound(
    programs: dict[str, Compiled], chip: Chip, dtype: str
) -> tuple[float, float]:
    """Seconds of a step of decoding at least, and tokens a second at most.

    A step is what decoding does more than the prefill, divided by its number
    of further tokens; NaN where nothing is decoded.

    Args:
      programs: by name.
      chip: each device of the mesh.
      dtype: config.model.dtype.
    """
    if not {'prefill', 'decoding'} <= set(programs):
        return math.nan, math.nan
    first, whole = programs['prefill'], programs['decoding']
    rows, _, new = whole.size
    if new == 1:
        return math.nan, math.nan
    none = 0.0, 0.0
    step = whole._replace(
        flops=(whole.flops - first.flops) / (new - 1),
        bytes=(whole.bytes - first.bytes) / (new - 1),
        sent={
            kind: (0.0, (sent - first.sent.get(kind, none)[1]) / (new - 1))
            for kind, (_, sent) in whole.sent.items()
        },
    )
    seconds = max(step.floor(chip, dtype).values())
    return seconds, rows / seconds


def _beside(found: float, expected: float, unit: float) -> str:
    """The plan's figure beside the compiler's; '' where there is none."""
    if math.isnan(expected):
        return ''
    off = expected / found - 1 if found else math.inf
    mark = '' if abs(off) <= APART else ', the formula is off'
    return f', planned {expected / unit:.3f} ({off:+.0%}{mark})'
