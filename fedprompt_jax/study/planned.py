"""What the runs of a study will need, before any of them starts."""

from collections.abc import Sequence
import json
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from fedprompt_jax import files
from fedprompt_jax.experiment import shared_stage
from fedprompt_jax.planning import chips as chips_lib
from fedprompt_jax.planning.plan import duration, plan
from fedprompt_jax.report import records
from fedprompt_jax.study import points as points_lib
from fedprompt_jax.study import table
from fedprompt_jax.study.points import Point

STAGE_1 = ('training', 'validation')  # parts of a plan's hours


class Planned(NamedTuple):
    """The hours of one run of a study.

    Attributes:
      name: of the run, the keys alone in which runs differ.
      stage_1: hours of training and validation; 0 where they are reused.
      stage_2: hours of personalization and its scores.
      reused: whose stage 1 it takes over; '' for its own.
      complete: whether nothing is left of it.
      fits: whether it fits into the chips' memory.
    """

    name: str
    stage_1: float
    stage_2: float
    reused: str
    complete: bool
    fits: bool


def plan_all(
    points: Sequence[Point],
    workdir: Path,
    chip: str,
    chips: int,
    lengths: tuple[int, int],
    cache_dir: Path,
) -> tuple[list[Planned], list[str]]:
    """The hours of each run, and what was assumed.

    Args:
      points: the runs.
      workdir: where runs may have been made before.
      chip: a key of planning.chips.CHIPS, or 'cpu'.
      chips: their number; 0 for as many as config.mesh says.
      lengths: mean tokens of a query and a target where the data are absent.
      cache_dir: converted models and token stores.

    Raises:
      ValueError: see planning.plan.
    """
    trained, measured = _trained(workdir), chips_lib.get(chip)
    names = [
        points_lib.name_of(o)
        for o in points_lib.differing([p.overrides for p in points])
    ]
    found, assumed = [], []
    bar = tqdm(points, desc='planning', unit='run', leave=False)
    for point, name in zip(bar, names, strict=True):
        mesh = point.config.mesh
        forecast = plan(
            point.config,
            chip,
            chips or mesh.data * mesh.model,
            lengths,
            cache_dir,
            measured,
        )
        assumed += [x for x in forecast['assumed'] if x not in assumed]
        key = _stage_1(point.config.to_dict())
        before = trained.setdefault(key, name)
        hours: dict[str, Any] = forecast['hours']
        of_stage_1 = sum(hours[part] for part in STAGE_1)
        found.append(
            Planned(
                name,
                of_stage_1 if before == name else 0.0,
                sum(hours.values()) - of_stage_1,
                before if before != name else '',
                table.status(point, workdir / point.name) == table.COMPLETE,
                forecast['fits'],
            )
        )
    return found, assumed


def text(runs: Sequence[Planned], assumed: Sequence[str]) -> str:
    """The plan as a table and a sum."""
    lines = [['run', 'stage 1', 'stage 2', '']]
    for run in runs:
        notes = [
            'complete' if run.complete else '',
            f'stage 1 of {run.reused}' if run.reused else '',
            '' if run.fits else 'DOES NOT FIT into memory',
        ]
        first = duration(run.stage_1).strip() if not run.reused else '–'
        lines.append(
            [
                run.name,
                first,
                duration(run.stage_2).strip(),
                '; '.join(note for note in notes if note),
            ]
        )
    left = [run for run in runs if not run.complete]
    hours = sum(run.stage_1 + run.stage_2 for run in left)
    reused = sum(bool(run.reused) for run in runs)
    return '\n'.join(
        [
            table.text(lines, [], []).rstrip(),
            '',
            f'{len(runs)} runs, {len(runs) - len(left)} complete, {reused} '
            'with the stage 1 of another; what is left takes '
            f'{duration(hours).strip()}.',
            *(f'Assumed: {sentence}.' for sentence in assumed),
        ]
    )


def _stage_1(config: dict[str, Any]) -> str:
    stage_1 = files.plain(shared_stage.settings(config))
    return json.dumps(stage_1, sort_keys=True)


def _trained(workdir: Path) -> dict[str, str]:
    """Settings of stage 1 -> a run in `workdir` that has trained with them."""
    found: dict[str, str] = {}
    for path in sorted(workdir.glob(f'*/{records.INFO}')):
        folder = path.parent
        if 'chosen_round' in records.read_json(folder, records.INFO):
            config = records.read_json(folder, records.CONFIG)
            found.setdefault(_stage_1(config), f'the folder {folder.name}')
    return found
