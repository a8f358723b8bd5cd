"""A study as commands for a cluster: a shell, a SLURM array, JobSets."""

from collections.abc import Iterator, Sequence
import copy
import hashlib
from pathlib import Path
import shlex
from typing import Any

import yaml

from fedprompt_jax.study.points import Point

KINDS = ('shell', 'slurm', 'jobset')
JOBSET = Path('launch/gke_jobset.yaml')


def lines(
    kind: str,
    points: Sequence[Point],
    workdir: Path,
    flags: Sequence[str],
) -> Iterator[str]:
    """Yields lines for a shell, or JobSets for `kubectl apply -f -`.

    Args:
      kind: one of KINDS.
      points: the runs of the study.
      workdir: the folder for their run folders.
      flags: flags of main.py that all runs share.

    Raises:
      ValueError: the current folder has no launch scripts, a flag has a line
        break (slurm), or workdir is not absolute (jobset).
    """
    every = [flags_of(point, workdir, flags) for point in points]
    if kind == 'shell':
        yield from (
            shlex.join(['python', 'main.py', *run_flags]) for run_flags in every
        )
        return
    if not JOBSET.is_file():
        raise ValueError(
            f'--commands={kind} needs the launch scripts; run it in the root '
            "of fedprompt_jax's repository."
        )
    if kind == 'slurm':
        yield from _slurm(every, workdir)
    else:
        if not workdir.is_absolute():
            raise ValueError(
                f'--workdir={workdir} must be where the pods have their '
                'volume, such as /folders/studies, for --commands=jobset.'
            )
        template = yaml.safe_load(JOBSET.read_text('utf-8'))
        for number, run_flags in enumerate(every):
            yield '---'
            name = f'{_short(workdir)}-{number}'
            yield yaml.safe_dump(_jobset(template, name, run_flags)).rstrip()


def devices(points: Sequence[Point]) -> str:
    """A sentence with the numbers of devices that the runs need."""
    meshes = {(p.config.mesh.data, p.config.mesh.model) for p in points}
    devices_text = ' and '.join(
        f'{data * model} (config.mesh {data} x {model})'
        for data, model in sorted(meshes)
    )
    return f'Devices that the runs need, each its own: {devices_text}.'


def flags_of(point: Point, workdir: Path, flags: Sequence[str]) -> list[str]:
    """The arguments of main.py that compute a point.

    Args:
      point: a run of the study; what it overrides replaces other flags.
      workdir: the folder for the run folders.
      flags: flags of main.py that all runs share.
    """
    overrides = [
        f'--config.{key}={value}' for key, value in point.overrides.items()
    ]
    # ml_collections concatenates the tuples of a flag that is given twice.
    rest = without(flags, [f'config.{key}' for key in point.overrides])
    return [*rest, *overrides, f'--workdir={workdir / point.name}']


def without(argv: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Yields all arguments but the flags of these names.

        >>> list(without(['--a=1', '--b', '2', '--c'], ['b']))
        ['--a=1', '--c']

    Args:
      argv: arguments; a flag is --name=value, or --name value in two of them.
      names: flags to leave out, without dashes.
    """
    value_follows = False
    for argument in argv:
        name, equals, _ = argument.lstrip('-').partition('=')
        if argument.startswith('-'):
            left_out = name in names
            value_follows = left_out and not equals
            if not left_out:
                yield argument
        elif value_follows:
            value_follows = False
        else:
            yield argument


def _slurm(every: Sequence[Sequence[str]], workdir: Path) -> Iterator[str]:
    """Yields shell lines that write a file of flags and submit its array.

    Task i of the array reads line i of the file.
    """
    if any('\n' in flag for run_flags in every for flag in run_flags):
        raise ValueError('--commands=slurm: no flag may hold a line break.')
    file = shlex.quote(str(workdir / 'flags.txt'))
    yield f'mkdir -p {shlex.quote(str(workdir))}'
    yield f"cat > {file} <<'END'"
    yield from map(shlex.join, every)
    yield 'END'
    yield (
        f'FLAGS_FILE={file} sbatch --array=0-{len(every) - 1} '
        'launch/slurm.sbatch'
    )


def _short(workdir: Path) -> str:
    """Six hex digits that distinguish the studies of a cluster's namespace."""
    return hashlib.sha256(str(workdir).encode()).hexdigest()[:6]


def _jobset(template: Any, name: str, flags: Sequence[str]) -> Any:
    """The shipped JobSet with a run's name and flags.

    Its --cache_dir stays unless the flags have one.
    """
    jobset = copy.deepcopy(template)
    jobset['metadata']['name'] += f'-{name}'
    (job,) = jobset['spec']['replicatedJobs']
    pod = job['template']['spec']['template']['spec']
    (container,) = pod['containers']
    cache_dir = [
        argument
        for argument in container['args']
        if argument.startswith('--cache_dir')
        and not any(flag.startswith('--cache_dir') for flag in flags)
    ]
    container['args'] = ['--distributed', *cache_dir, *flags]
    return jobset
