"""Runs the points of a sweep: one after another, or as banks."""

from collections.abc import Sequence
import itertools
from pathlib import Path
import sys

from fedprompt_jax.experiment import preemption
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.kept import Kept
from fedprompt_jax.experiment.sweep import bank, table
from fedprompt_jax.experiment.sweep.points import Point


def run_all(
    found: Sequence[Point], workdir: Path, cache_dir: Path, together: int = 1
) -> str:
    """Runs what is left of a sweep; returns the table of all its runs.

    Args:
      found: the points; each has a run folder in workdir.
      workdir: holds the run folders and sweep.csv.
      cache_dir: see experiment.run.
      together: how many runs are computed as one bank.

    Raises:
      Preempted: SIGTERM stopped it; all that it did is saved.
      ValueError: a folder holds a run of another config, or a run could not
        start; nothing was run.
    """
    folders = [workdir / point.name for point in found]
    ends = list(map(table.status, found, folders))
    _refuse_others(found, workdir, ends)
    kept = Kept()
    groups = [found[i : i + together] for i in range(0, len(found), together)]
    _check(groups, cache_dir, kept)
    if done := ends.count(table.COMPLETE):
        print(f'{done} of {len(found)} runs are complete.', file=sys.stderr)
    last = 0
    for group in groups:
        first, last = last, last + len(group)
        which = f'{first + 1} to {last}' if len(group) > 1 else f'{last}'
        names = ' '.join(point.name for point in group)
        print(f'{which} of {len(found)}: {names}', file=sys.stderr)
        ends[first:last] = _run(group, folders[first:last], cache_dir, kept)
        text = table.write(workdir, found, folders, ends)
    return text


def _refuse_others(
    found: Sequence[Point], workdir: Path, ends: list[str]
) -> None:
    """Raises ValueError where a run of another config is in a folder."""
    faults = [
        f'{workdir / point.name} is {end}'
        for point, end in zip(found, ends, strict=True)
        if end.startswith(table.OTHER)
    ]
    if faults:
        raise ValueError(
            '\n'.join(faults) + '\nNothing was run; give --workdir another '
            'folder, or undo the differences.'
        )


def _check(
    groups: Sequence[Sequence[Point]], cache_dir: Path, kept: Kept
) -> None:
    """Raises ValueError with what would stop a run of these, hours from now."""
    from fedprompt_jax.experiment import build
    from fedprompt_jax.federated.mesh import check_devices

    faults = [f for g in groups if len(g) > 1 for f in bank.faults(g)]
    for point in itertools.chain.from_iterable(groups) if not faults else ():
        try:
            check_devices(point.config.mesh.data, point.config.mesh.model)
            build.load_data(point.config, cache_dir, kept)
        except ValueError as error:
            faults.append(f'{point.name}: {error}')
    if faults:
        raise ValueError('\n'.join(faults))


def _run(
    group: Sequence[Point],
    folders: Sequence[Path],
    cache_dir: Path,
    kept: Kept,
) -> list[str]:
    """Runs what is left of these points; tells how each ended.

    Raises:
      Preempted, ValueError: see experiment.run; of the first run that did.
    """
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
        told.append(table.COMPLETE if end is None else f'diverged: {end}')
    return told
