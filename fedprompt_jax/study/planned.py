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
from fedprompt_jax.study import runs, table
from fedprompt_jax.study.points import Point

STAGE_1 = ('training', 'validation')  # parts of a plan's hours
SCORED = ('split', 'clients', 'eval_examples', 'global_examples')
# Keys that change no hour.
RATES = {
    f'{section}.{key}'
    for section in ('client', 'server', 'personalization')
    for key in ('learning_rate', 'l2')
}


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
    forecasts: dict[str, dict[str, Any]] = {}
    found, assumed = [], []
    bar = tqdm(points, desc='planning', unit='run', leave=False)
    folders = runs.folders_of(points, workdir)
    for point, name, folder in zip(bar, names, folders, strict=True):
        mesh = point.config.mesh
        alike = _without_rates(point.config.to_dict())
        forecast = forecasts.get(alike) or plan(
            point.config,
            chip,
            chips or mesh.data * mesh.model,
            lengths,
            cache_dir,
            measured,
        )
        forecasts[alike] = forecast
        assumed += [x for x in forecast['assumed'] if x not in assumed]
        key = _stage_1(point.config.to_dict())
        before = trained.setdefault(key, name)
        complete = table.status(point, folder) == table.COMPLETE
        reused = '' if complete or before == name else before
        hours: dict[str, Any] = forecast['hours']
        of_stage_1 = sum(hours[part] for part in STAGE_1)
        found.append(
            Planned(
                name,
                0.0 if reused else of_stage_1,
                sum(hours.values()) - of_stage_1,
                reused,
                complete,
                forecast['fits'],
            )
        )
    return found, assumed


def machine(points: Sequence[Point], chip: str, chips: int) -> str:
    """The chips that the runs are planned for, in words."""
    numbers = {
        chips or p.config.mesh.data * p.config.mesh.model for p in points
    }
    count = ' or '.join(map(str, sorted(numbers)))
    name = 'machines like this one' if chip == chips_lib.CPU else chip
    alone = chip == chips_lib.CPU and numbers == {1}
    return 'this machine' if alone else f'{count} x {name}'


def text(
    planned: Sequence[Planned], assumed: Sequence[str], machine: str
) -> str:
    """The plan as a table and a sum.

    Args:
      planned: the runs.
      assumed: sentences.
      machine: the chips in words.
    """
    lines = [['run', 'stage 1', 'stage 2', '']]
    for run in planned:
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
    left = [run for run in planned if not run.complete]
    hours = sum(run.stage_1 + run.stage_2 for run in left)
    reused = sum(bool(run.reused) for run in planned)
    return '\n'.join(
        [
            table.text(lines, [], []).rstrip(),
            '',
            f'{len(planned)} runs, {len(planned) - len(left)} complete, '
            f'{reused} with the stage 1 of another; what is left takes '
            f'{duration(hours).strip()} on {machine}.',
            *(f'Assumed: {sentence.rstrip(".")}.' for sentence in assumed),
        ]
    )


def _without_rates(config: dict[str, Any]) -> str:
    kept = {
        key: {k: v for k, v in section.items() if f'{key}.{k}' not in RATES}
        if isinstance(section, dict)
        else section
        for key, section in files.plain(config).items()
    }
    return json.dumps(kept, sort_keys=True)


def _stage_1(config: dict[str, Any]) -> str:
    """What stage 1 depends on, as far as a config says it.

    Validation scores in rows that hold the examples of stage 2 too.
    """
    scored = [config['personalization'][key] for key in SCORED]
    stage_1 = files.plain([shared_stage.settings(config), scored])
    return json.dumps(stage_1, sort_keys=True)


def _trained(workdir: Path) -> dict[str, str]:
    """Settings of stage 1 -> a run in `workdir` that has trained with them."""
    found: dict[str, str] = {}
    for path in sorted(workdir.glob(f'*/{records.INFO}')):
        folder = path.parent
        info = records.read_json(folder, records.INFO)
        # The rounds of a bank are not those of a run alone.
        if 'chosen_round' in info and info.get(shared_stage.DIGEST):
            config = records.read_json(folder, records.CONFIG)
            found.setdefault(_stage_1(config), f'the folder {folder.name}')
    return found
