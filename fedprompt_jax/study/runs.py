"""Runs the points of a study: one after another, or as banks."""

from collections.abc import Sequence
import itertools
import json
import math
from pathlib import Path
import sys
import time
from typing import Any

from fedprompt_jax import files
from fedprompt_jax.experiment import preemption, shared_stage
from fedprompt_jax.experiment import run as run_lib
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.report import records
from fedprompt_jax.study import archive, one_bank, table
from fedprompt_jax.study.outputs import Study
from fedprompt_jax.study.points import Point

# Least seconds between two writings of figure and tables.
SECONDS = 30.0


def run_all(
    points: Sequence[Point],
    workdir: Path,
    cache_dir: Path,
    together: int,
    study: Study,
) -> str:
    """Runs what is left of a study; returns the table of all its runs.

    Args:
      points: the runs; each has a run folder in workdir.
      workdir: the folder of the run folders.
      cache_dir: see experiment.run.
      together: the number of runs that are computed as one bank.
      study: writes the figure and the tables, between the runs and at last.

    Raises:
      Preempted: SIGTERM stopped it; all that it did is saved.
      ValueError: a folder holds a run of another config, or a run could not
        start; nothing was run.
    """
    folders = folders_of(points, workdir)
    ends = list(map(table.status, points, folders))
    _refuse_others(folders, ends)
    loaded = LastLoaded()
    groups = groups_of(points, together)
    _check([[points[i] for i in g] for g in groups], cache_dir, loaded)
    if done := ends.count(table.COMPLETE):
        print(f'{done} of {len(points)} runs are complete.', file=sys.stderr)
    written = -math.inf
    for group in groups:
        if all(ends[i] == table.COMPLETE for i in group):
            continue
        which = ', '.join(f'{i + 1}' for i in group)
        names = ' '.join(points[i].name for i in group)
        print(f'{which} of {len(points)}: {names}', file=sys.stderr)
        found = _run(
            [points[i] for i in group],
            [folders[i] for i in group],
            cache_dir,
            loaded,
        )
        for i, end in zip(group, found, strict=True):
            ends[i] = end
        if time.monotonic() - written > SECONDS:  # drawing takes one
            study.write(points, folders, ends)
            written = time.monotonic()
    return study.write(points, folders, ends)


def groups_of(points: Sequence[Point], together: int) -> list[list[int]]:
    """The runs in the order in which they are computed, as banks of runs.

    Runs that differ in stage 2 alone share stage 1. Before a bank of them, one
    of them is computed alone: the others start with its prompt.

    Args:
      points: the runs.
      together: the number of runs of a bank.

    Returns:
      Places in `points`.
    """
    if together == 1:
        return [[i] for i in range(len(points))]
    same_stage: dict[str, list[int]] = {}
    for i, point in enumerate(points):
        key = _text(shared_stage.settings(point.config.to_dict()))
        same_stage.setdefault(key, []).append(i)
    first = [places[0] for places in same_stage.values() if len(places) > 1]
    # Runs of one bank share what a call of the model depends on.
    alike: dict[str, list[int]] = {}
    for i, point in enumerate(points):
        if i not in first:
            alike.setdefault(one_bank.shared(point), []).append(i)
    banks = [
        places[i : i + together]
        for places in alike.values()
        for i in range(0, len(places), together)
    ]
    return [*([i] for i in first), *banks]


def _others(folder: Path) -> list[Path]:
    """The run folders beside a run folder."""
    return sorted(
        info.parent
        for info in folder.parent.glob(f'*/{records.INFO}')
        if info.parent != folder
    )


def folders_of(points: Sequence[Point], workdir: Path) -> list[Path]:
    """The run folder of each point, which may not exist.

    Where another study of `workdir` has a run of an equal config, it is that;
    of an archived run, whose config names no folder, those are left aside.
    """
    equal: dict[str, Path] = {}
    for path in sorted(workdir.glob(f'*/{records.CONFIG}')):
        config = records.read_json(path.parent, records.CONFIG)
        equal.setdefault(_text(config), path.parent)
    folders = []
    for point in points:
        own = workdir / point.name
        config = point.config.to_dict()
        found = own if own.is_dir() else equal.get(_text(config))
        if found is None:
            found = equal.get(_text(archive.without_folders(config)), own)
            if found != own and not archive.is_archived(found):
                found = own
        folders.append(found)
    return folders


def _text(config: dict[str, Any]) -> str:
    return json.dumps(files.plain(config), sort_keys=True)


def _refuse_others(folders: Sequence[Path], ends: list[str]) -> None:
    """Raises ValueError where a run of another config is in a folder."""
    faults = [
        f'{folder} is {end}'
        for folder, end in zip(folders, ends, strict=True)
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
    from fedprompt_jax.models.kernels.choice import check_kernel

    faults = [f for g in groups if len(g) > 1 for f in one_bank.faults(g)]
    for point in itertools.chain.from_iterable(groups) if not faults else ():
        try:
            check_devices(point.config.mesh.data, point.config.mesh.model)
            check_kernel(point.config.model.attention)
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
            others = [_others(folder) for folder in folders]
            ends = one_bank.run(
                group, folders, cache_dir, loaded, signals, others
            )
    else:
        try:
            run_lib.execute(
                group[0].config,
                folders[0],
                cache_dir,
                loaded,
                others=_others(folders[0]),
            )
        except FloatingPointError as error:
            ends = [error]
    statuses = []
    for end in ends:
        if end is not None and not isinstance(end, FloatingPointError):
            raise end
        statuses.append(table.COMPLETE if end is None else f'diverged: {end}')
    return statuses
