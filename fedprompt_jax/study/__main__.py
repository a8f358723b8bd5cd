"""Runs a study: one config, with other values of some keys in each run.

    python -m fedprompt_jax.study --study=configs/studies/learning_rates.py \\
        --config=configs/fedavg_adam.py [--config.KEY=VALUE ...] \\
        [--workdir=DIR] [--together=8]
    python -m fedprompt_jax.study ... --commands=shell|slurm|jobset
    python -m fedprompt_jax.study ... --redraw
    python -m fedprompt_jax.study ... --plan [--chip=h100 --chips=1]
    python -m fedprompt_jax.study ... --only=data.partition=high,low
    python -m fedprompt_jax.study --claims --study=configs/studies/profit ...
    python -m fedprompt_jax.study ... --archive=DIR

The runs follow each other, and share the loaded model, the tokens and the
compiled programs; with --together=N, N of them are computed as one bank. Each
run writes a run folder in --workdir, which several studies of one config may
share: what one of them has computed the others do not. The figure, the tables
and the page of a study are in --workdir/results/<study>. Run the same command
to resume; --redraw makes them again, also of runs that other machines have put
into --workdir. --plan tells hours and what is reused, and runs nothing. --only
leaves the runs out that have another value of a key. --claims judges what the
paper claims by the runs in --workdir; --study is then a study or a folder.
--archive copies what figures and tables are made of, without checkpoints,
prompts and texts, into a folder that --redraw and --claims read like --workdir.
"""

from collections.abc import Sequence
import logging
import os
from pathlib import Path
import sys
import time

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_dict

from fedprompt_jax.experiment import command_line, preemption
from fedprompt_jax.planning import chips
from fedprompt_jax.study import (
    archive,
    claims,
    commands,
    measured,
    outputs,
    points,
    runs,
    table,
)

_STUDY = flags.DEFINE_string(
    'study',
    None,
    'The study: a file with points(), such as configs/studies/seeds.py.',
)
_CONFIG = command_line.define_config()
_WORKDIR = flags.DEFINE_string(
    'workdir',
    None,
    'The folder of the runs; the default is studies/<config>-<scale>.',
)
_CACHE_DIR = command_line.define_cache_dir()
flags.adopt_module_key_flags(command_line)
_TOGETHER = flags.DEFINE_integer(
    'together',
    1,
    'The number of runs that are computed as one bank.',
    lower_bound=1,
)
_COMMANDS = flags.DEFINE_enum(
    'commands',
    None,
    commands.KINDS,
    'Print the commands of the runs instead of running them.',
)

_REDRAW = flags.DEFINE_bool(
    'redraw',
    False,
    'Make figure, tables and page of complete runs again, and run none.',
)

_PLAN = flags.DEFINE_bool(
    'plan', False, 'Print what each run will need instead of running it.'
)
_CHIP = flags.DEFINE_enum(
    'chip',
    chips.CPU,
    [*chips.CHIPS, chips.CPU],
    "Of --plan: the kind of chip; 'cpu' measures this machine.",
)
_CHIPS = flags.DEFINE_integer(
    'chips',
    0,
    'Of --plan: the number of chips; 0 for as many as config.mesh says.',
    lower_bound=0,
)
_ONLY = flags.DEFINE_multi_string(
    'only',
    [],
    'KEY=VALUE[,VALUE ...]: only the runs with one of these values of a key of '
    'the config, such as data.partition=high,low.',
)

_CLAIMS = flags.DEFINE_bool(
    'claims',
    False,
    "Judge a paper's claims by the runs that are there, and run none; --study "
    'may be a folder of studies.',
)

_ARCHIVE = flags.DEFINE_string(
    'archive',
    None,
    'A folder for copies of the complete runs without their models; none run.',
)

# Flags of a study that main.py does not have.
STUDY_FLAGS = (
    'study', 'workdir', 'together', 'commands', 'redraw', 'noredraw', 'plan',
    'noplan', 'chip', 'chips', 'only', 'claims', 'noclaims',
    'archive',
)  # fmt: skip
LENGTHS = (61, 12)  # mean tokens of a query and a target of SNI; see planning
_LOG = logging.getLogger('fedprompt_jax')


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f'unexpected arguments: {argv[1:]}')
    absl_logging.set_verbosity(absl_logging.WARNING)
    _LOG.addHandler(logging.StreamHandler())
    _LOG.setLevel(logging.WARNING)
    _LOG.propagate = False
    try:
        _study()
    except preemption.Preempted as stop:
        print(stop, file=sys.stderr)
        sys.exit(preemption.EXIT_CODE)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        text = '\ninterrupted; run the same command to resume.'
        print(text, file=sys.stderr, flush=True)
        os._exit(1)  # the threads of a bank are still at work


def _study() -> None:
    """Does what the flags ask for: runs, or prints commands or the table."""
    config, file = _CONFIG.value, Path(_STUDY.value or '')
    if _CLAIMS.value:
        _claims(config, file)
        return
    others = (_COMMANDS.value, _REDRAW.value, _PLAN.value, _ARCHIVE.value)
    runs_here = not any(others)
    if _COMMANDS.value and (_REDRAW.value or _TOGETHER.value > 1):
        raise ValueError(
            f'--commands={_COMMANDS.value} prints a command for every run '
            'alone; leave out --together and --redraw.'
        )
    if sum(map(bool, others)) > 1:
        raise ValueError(
            'give one of --commands, --redraw, --plan and --archive.'
        )
    module = points.load(file)
    measure = getattr(module, 'measure', None)
    chosen = points.read(file, config, files=runs_here and not measure)
    chosen = points.only(chosen, _ONLY.value)
    name, workdir = f'{config.name}-{config.scale}', _workdir(config)
    parts = [file.stem, *_ONLY.value]
    study = outputs.Study(
        workdir / 'results' / points.folder_name('~'.join(parts)),
        ', '.join([file.stem.replace('_', ' '), *_ONLY.value, name]),
        getattr(module, 'CAPTION', ''),
        getattr(module, 'draw', None),
        getattr(module, 'tabulate', None),
    )
    cache_dir = Path(_CACHE_DIR.value).expanduser()
    if measure:
        _measure(chosen, measure, study)
        return
    if _PLAN.value:
        from fedprompt_jax.study import planned

        found, assumed = planned.plan_all(
            chosen, workdir, _CHIP.value, _CHIPS.value, LENGTHS, cache_dir
        )
        machine = planned.machine(chosen, _CHIP.value, _CHIPS.value)
        print(planned.text(found, assumed, machine))
        return
    if _COMMANDS.value:
        shared = list(commands.without(sys.argv[1:], STUDY_FLAGS))
        for line in commands.lines(_COMMANDS.value, chosen, workdir, shared):
            print(line)
        print(commands.devices(chosen), file=sys.stderr)
        return
    if _REDRAW.value or _ARCHIVE.value:
        folders = runs.folders_of(chosen, workdir)
        ends = list(map(table.status, chosen, folders))
        if not any(folder.is_dir() for folder in folders):
            flag = '--archive' if _ARCHIVE.value else '--redraw'
            raise ValueError(
                f'--workdir={workdir} has no run of this study; run '
                f'it without {flag} first, or give the folder of its runs.'
            )
        if _ARCHIVE.value:
            done = [
                folder
                for folder, end in zip(folders, ends, strict=True)
                if end == table.COMPLETE
            ]
            made = archive.archive(done, Path(_ARCHIVE.value))
            print(f'{len(made)} of {len(chosen)} runs: {_ARCHIVE.value}')
            return
        print(study.write(chosen, folders, ends))
        print(f'\nFigure, tables and report: {study.folder}')
        return
    began = time.perf_counter()
    print(runs.run_all(chosen, workdir, cache_dir, _TOGETHER.value, study))
    print(f'\n{time.perf_counter() - began:.0f} s since this start.')
    print(f'Run folders: {workdir}')
    print(f'Figure, tables and report: {study.folder}')


def _claims(config: config_dict.ConfigDict, studies: Path) -> None:
    """Judges the claims of one study, or of all studies in a folder."""
    others = (_REDRAW.value, _PLAN.value, _COMMANDS.value, _ONLY.value)
    if any(others):
        raise ValueError(
            '--claims reads the runs that are there; leave out --redraw, '
            '--plan, --commands and --only.'
        )
    workdir = _workdir(config)
    found = claims.judge(claims.files_of(studies), config, workdir)
    folder = workdir / 'results' / 'claims'
    print(claims.write(found, folder))
    print(f'\nTables and report: {folder}')


def _workdir(config: config_dict.ConfigDict) -> Path:
    """Where the runs of a config's studies are."""
    return Path(_WORKDIR.value or f'studies/{config.name}-{config.scale}')


def _measure(
    chosen: Sequence[points.Point],
    measure: measured.Measure,
    study: outputs.Study,
) -> None:
    """A study of the data alone: what the flags ask for."""
    if _COMMANDS.value or _PLAN.value:
        print('This study reads the data alone: it takes seconds, and no run.')
        return
    if _REDRAW.value:
        found = [measured.read(point, study.folder) for point in chosen]
        gone = [p.name for p, c in zip(chosen, found, strict=True) if c is None]
        if gone:
            raise ValueError(
                f'{study.folder} has no measurement of {", ".join(gone)}; run '
                'the study without --redraw.'
            )
        columns = [c for c in found if c is not None]
    else:
        columns = measured.measure_all(chosen, measure, study.folder)
    print(study.write_measured(chosen, columns))
    print(f'\nFigure, tables and report: {study.folder}')


if __name__ == '__main__':
    flags.register_validator(
        'study',
        lambda study: study is not None,
        'give a file such as configs/studies/learning_rates.py.',
    )
    app.run(main, flags_parser=command_line.parse)
