"""Runs a sweep: one config, with other values of some keys in each run.

    python -m fedprompt_jax.sweep --sweep=configs/sweeps/learning_rates.py \\
        --config=configs/fedavg_adam.py [--config.KEY=VALUE ...] \\
        [--workdir=DIR] [--together=8]
    python -m fedprompt_jax.sweep ... --commands=shell|slurm|jobset

The runs follow each other, and share the loaded model, the tokens and what is
compiled; with --together=N, N of them are computed as one bank. Each leaves a
run folder in --workdir; the table and sweep.csv gather them. The same command
goes on where it stopped.
"""

from collections.abc import Iterator, Sequence
import logging
from pathlib import Path
import sys
import time

from absl import app, flags
from absl import logging as absl_logging

from fedprompt_jax.experiment import command_line, preemption
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.kept import Kept
from fedprompt_jax.experiment.sweep import bank, commands, points, table
from fedprompt_jax.experiment.sweep.points import Point

_SWEEP = flags.DEFINE_string(
    'sweep', None, 'A file with points(), such as configs/sweeps/seeds.py.'
)
_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Holds the run folders; sweeps/<sweep>-<config>-<scale>.'
)
_CACHE_DIR = command_line.define_cache_dir()
_TOGETHER = flags.DEFINE_integer(
    'together', 1, 'Runs that are computed as one bank.', lower_bound=1
)
_COMMANDS = flags.DEFINE_enum(
    'commands', None, commands.KINDS, 'Print these and run nothing.'
)

OWN = ('sweep', 'workdir', 'together', 'commands')
_LOG = logging.getLogger('fedprompt_jax')


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    absl_logging.set_verbosity(absl_logging.WARNING)
    _LOG.addHandler(logging.StreamHandler())
    _LOG.setLevel(logging.WARNING)
    _LOG.propagate = False
    try:
        _sweep()
    except preemption.Preempted as stop:
        print(stop, file=sys.stderr)
        sys.exit(preemption.EXIT_CODE)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit('\ninterrupted; the same command goes on where it stopped.')


def _sweep() -> None:
    config, file = _CONFIG.value, Path(_SWEEP.value or '')
    found = points.read(file, config)
    name = f'{file.stem}-{config.name}-{config.scale}'
    workdir = Path(_WORKDIR.value or f'sweeps/{name}')
    if _COMMANDS.value:
        shared = list(without(sys.argv[1:], OWN))
        for line in commands.lines(_COMMANDS.value, found, workdir, shared):
            print(line)
        return
    size = _TOGETHER.value
    groups = [found[i : i + size] for i in range(0, len(found), size)]
    faults = [f for g in groups if len(g) > 1 for f in bank.faults(g)]
    if faults:
        raise ValueError('\n'.join(faults))
    began, kept = time.perf_counter(), Kept()
    told: list[str] = []
    for group in groups:
        names = ' '.join(point.name for point in group)
        print(f'{len(told) + 1} of {len(found)}: {names}', file=sys.stderr)
        told += _run(group, workdir, kept)
    folders = [workdir / point.name for point in found]
    rows = table.rows(found, folders, told)
    (workdir / 'sweep.csv').write_text(table.as_csv(rows), 'utf-8')
    print(table.text_table(found, rows))
    print(f'\n{time.perf_counter() - began:.0f} s since this start.')
    print(f'Run folders and sweep.csv: {workdir}')


def _run(group: list[Point], workdir: Path, kept: Kept) -> list[str]:
    """Runs what is left of these points; tells how each ended.

    Raises:
      Preempted, ValueError: see experiment.run; of the first run that did.
    """
    folders = [workdir / point.name for point in group]
    cache_dir = Path(_CACHE_DIR.value).expanduser()
    ends: list[BaseException | None] = [None]
    if len(group) > 1:
        with preemption.Preemption() as asked:
            ends = bank.run(group, folders, cache_dir, kept, asked)
    else:
        try:
            run_lib.execute(group[0].config, folders[0], cache_dir, kept)
        except FloatingPointError as error:
            ends = [error]
    told = []
    for end in ends:
        if end is not None and not isinstance(end, FloatingPointError):
            raise end
        told.append('complete' if end is None else f'diverged: {end}')
    return told


def without(argv: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Arguments but the flags of these names, as --name=value or --name v."""
    rest = iter(argv)
    for argument in rest:
        name, equals, _ = argument.lstrip('-').partition('=')
        if argument.startswith('-') and name in names:
            if not equals:
                next(rest, None)
        else:
            yield argument


if __name__ == '__main__':
    flags.mark_flag_as_required('sweep')
    app.run(main, flags_parser=command_line.parse)
