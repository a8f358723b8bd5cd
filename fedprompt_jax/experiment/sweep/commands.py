"""A sweep as commands for a cluster: a shell, a SLURM array, JobSets."""

from collections.abc import Iterator, Sequence
import copy
from pathlib import Path
import re
import shlex
from typing import Any

import yaml

from fedprompt_jax.experiment.sweep.points import Point

KINDS = ('shell', 'slurm', 'jobset')
JOBSET = Path('launch/gke_jobset.yaml')


def lines(
    kind: str,
    points: Sequence[Point],
    workdir: Path,
    flags: Sequence[str],
) -> Iterator[str]:
    """What to give to a shell, or to kubectl apply -f - for JobSets.

    Args:
      kind: one of KINDS.
      points: of the sweep.
      workdir: of the sweep.
      flags: of main.py that all runs share.

    Raises:
      ValueError: the folder has no launch scripts.
    """
    every = [flags_of(point, workdir, flags) for point in points]
    if kind == 'shell':
        yield from (shlex.join(['python', 'main.py', *own]) for own in every)
        return
    if not JOBSET.is_file():
        raise ValueError(
            f'--commands={kind} needs the launch scripts; run it in the root '
            "of fedprompt_jax's repository."
        )
    if kind == 'slurm':
        yield from _slurm(every, workdir)
    else:
        template = yaml.safe_load(JOBSET.read_text('utf-8'))
        for point, own in zip(points, every, strict=True):
            yield '---'
            yield yaml.safe_dump(_jobset(template, point, own)).rstrip()


def flags_of(point: Point, workdir: Path, flags: Sequence[str]) -> list[str]:
    """The flags of main.py for a point."""
    own = [f'--config.{key}={value}' for key, value in point.overrides.items()]
    return [*flags, *own, f'--workdir={workdir / point.name}']


def _slurm(every: Sequence[Sequence[str]], workdir: Path) -> Iterator[str]:
    """A file with a line of flags a run, and the array that reads it."""
    file = shlex.quote(str(workdir / 'flags.txt'))
    yield f'mkdir -p {shlex.quote(str(workdir))}'
    yield f"cat > {file} <<'END'"
    yield from map(shlex.join, every)
    yield 'END'
    yield (
        f'FLAGS_FILE={file} sbatch --array=0-{len(every) - 1} '
        'launch/slurm.sbatch'
    )


def _jobset(template: Any, point: Point, flags: Sequence[str]) -> Any:
    made = copy.deepcopy(template)
    name = re.sub(r'[^a-z0-9]+', '-', point.name.lower()).strip('-')
    made['metadata']['name'] = f'fedprompt-{name}'[:40].strip('-')
    (job,) = made['spec']['replicatedJobs']
    pod = job['template']['spec']['template']['spec']
    pod['containers'][0]['args'] = ['--distributed', *flags]
    return made
