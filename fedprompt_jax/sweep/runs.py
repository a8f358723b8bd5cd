"""Runs the points of a sweep: one after another, or as banks."""

from collections.abc import Sequence
import itertools
from pathlib import Path
import sys

from fedprompt_jax.experiment import preemption
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.sweep import one_bank, table
from fedprompt_jax.sweep.points import Point


def run_all(
    points: Sequence[Point], workdir: Path, cache_dir: Path, together: int = 1
) -> str:
    """Runs what is left of a sweep; returns the table of all its runs.

    Args:
      points: the runs; each has a run folder in workdir.
      workdir: the folder of the run folders and of sweep.csv.
      cache_dir: see experiment.run.
      together: the number of runs that are computed as one bank.

    Raises:
      Preempted: SIGTERM stopped it; all that it did is saved.
      ValueError: a folder holds a run of another config, or a run could not
        start; nothing was run.
    """
    folders = [workdir / point.name for point in points]
    ends = list(map(table.status, points, folders))
    _refuse_others(points, workdir, ends)
    loaded = LastLoaded()
    groups = [points[i : i + together] for i in range(0, len(points), together)]
    _check(groups, cache_dir, loaded)
    if done := ends.count(table.COMPLETE):
        print(f'{done} of {len(points)} runs are complete.', file=sys.stderr)
    last = 0
    for group in groups:
        first, last = last, last + len(group)
        which = f'{first + 1} to {last}' if len(group) > 1 else f'{last}'
        names = ' '.join(point.name for point in group)
        print(f'{which} of {len(points)}: {names}', file=sys.stderr)
        ends[first:last] = _run(group, folders[first:last], cache_dir, loaded)
        text = table.write(workdir, points, folders, ends)
    return text


def _refuse_others(
    points: Sequence[Point], workdir: Path, ends: list[str]
) -> None:
    """Raises ValueError where a run of another config is in a folder."""
    faults = [
        f'{workdir / point.name} is {end}'
        for point, end in zip(points, ends, strict=True)
        if end.startswith(table.OTHER)
    ]
    if faults:
        raise ValueError(
            '\n'.join(faults) + '\nNothing was run; give --workdir another '
            'folder, or undo the differences.'
        )


def _check(
    groups: Sequence[Sequence[Point]], cache_dir: Path, loaded: LastLoaded
) -> None:
    """Raises ValueError with the faults of all runs, before the first starts.

    The last run may be hours away: its faults are found now.
    """
    from fedprompt_jax.experiment import build
    from fedprompt_jax.mesh import check_devices

    faults = [f for g in groups if len(g) > 1 for f in one_bank.faults(g)]
    for point in itertools.chain.from_iterable(groups) if not faults else ():
        try:
            check_devices(point.config.mesh.data, point.config.mesh.model)
            build.load_data(point.config, cache_dir, loaded)
        except ValueError as error:
            faults.append(f'{point.name}: {error}')
    if faults:
        raise ValueError('\n'.join(faults))


def _run(
    group: Sequence[Point],
    folders: Sequence[Path],
    cache_dir: Path,
    loaded: LastLoaded,
) -> list[str]:
    """Runs what is left of these points; returns the status of each.

    A status is table.COMPLETE, or says that the run diverged.

    Raises:
      Preempted, ValueError: see experiment.run; of the first run that raised
        one.
    """
    ends: list[BaseException | None] = [None]
    if len(group) > 1:
        with preemption.Preemption() as signals:
            ends = one_bank.run(group, folders, cache_dir, loaded, signals)
    else:
        try:
            run_lib.execute(group[0].config, folders[0], cache_dir, loaded)
        except FloatingPointError as error:
            ends = [error]
    statuses = []
    for end in ends:
        if end is not None and not isinstance(end, FloatingPointError):
            raise end
        statuses.append(table.COMPLETE if end is None else f'diverged: {end}')
    return statuses
