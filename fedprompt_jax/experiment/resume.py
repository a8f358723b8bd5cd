"""Where a run resumes: at the latest checkpoint that is not damaged.

The first process decides this alone, before anything is computed. A run that
cannot resume is refused before anything in its folder is changed.
"""

import logging
from pathlib import Path
import shutil
from typing import Any, NamedTuple

from fedprompt_jax.experiment import (
    before_rounds,
    checkpoint,
    clients,
    continuing,
    integrity,
)
from fedprompt_jax.experiment.run_folder import RunFolder, now
from fedprompt_jax.report.records import METRICS

_LOG = logging.getLogger(__name__)

# Keys that run.json has for a complete run alone.
_OF_COMPLETE = ('complete', 'finished', 'sha256', 'seconds')


class Point(NamedTuple):
    """A checkpoint from which a run resumes."""

    stage: str
    step: int
    notes: dict[str, Any]

    def __str__(self) -> str:
        units = {'train': 'round', 'personalize': 'epoch of personalization'}
        before = self.stage.removeprefix(before_rounds.FOLDER)
        unit = units.get(self.stage, f'step of {before.partition("-")[2]}')
        return f'{unit} {self.step}'


class Damage(NamedTuple):
    """A checkpoint that cannot be used, and why."""

    folder: Path
    fault: str


def prepare(run: RunFolder) -> None:
    """Prepares the folder so that the run resumes at its latest checkpoint.

    Damaged checkpoints are moved to checkpoints/damaged, the logs are cut back
    to the point, and a changed config replaces the old one.

    Raises:
      ValueError: there are checkpoints and all of them are damaged; or a log
        was changed; or the run cannot continue. The folder was not changed.
    """
    if run.finished:
        run.check_complete()
    anew = continuing.restarts_stage_2(run.changes)
    root = run.path / 'checkpoints'
    point, damages = _find(root, anew)
    if point is None:
        _refuse_damage(root, damages)
        if run.finished:
            raise ValueError(
                f'{run.path} has no checkpoint from which it can continue with '
                'the changed config; give --workdir another folder.'
            )
    if point is not None:
        if point.stage.startswith(before_rounds.FOLDER):
            _refuse_damage(root, [d for d in damages if _of_rounds(d)])
        run.check_logs(point.notes)
    # From here on the process may be killed at any moment. A run that is not
    # complete resumes from its checkpoints, and none is removed before run.json
    # says so. config.json is written last, so that the next start repeats all.
    if run.changes:
        _reopen(run)
    if anew:
        shutil.rmtree(root / 'personalize', ignore_errors=True)
    _move_aside(run, root, point, damages)
    none = dict.fromkeys(run.log_sizes(), 0)
    if point is None and _has_rounds(run):
        _warn(run, f'{root} has no checkpoint: the run starts over.')
    run.cut_logs(point.notes['log_sizes'] if point else none)
    if point is not None:
        _LOG.info('Resumes after %s.', point)
    if run.changes:
        _record(run)
        run.accept_changes()


def stages(root: Path) -> list[str]:
    """The folders of stages that may have checkpoints, the last one first."""
    before = [path.name for path in root.glob(f'{before_rounds.FOLDER}*')]
    return ['personalize', 'train', *sorted(before, reverse=True)]


def _find(root: Path, anew: bool) -> tuple[Point | None, list[Damage]]:
    """The latest sound checkpoint of the latest stage, and all damaged ones."""
    point, damages = None, []
    for stage in stages(root):
        if stage == 'personalize' and anew:
            continue
        for step, folder in checkpoint.folders(root / stage).items():
            fault = integrity.fault(folder) or clients.fault(
                root, checkpoint.read_notes(folder)
            )
            if fault:
                damages.append(Damage(folder, fault))
            elif point is None:
                notes = checkpoint.read_notes(folder)
                point = Point(stage, step, notes)
    return point, damages


def _of_rounds(damage: Damage) -> bool:
    """Whether a damaged checkpoint is one of the rounds, or of stage 2."""
    return not damage.folder.parent.name.startswith(before_rounds.FOLDER)


def _refuse_damage(root: Path, damages: list[Damage]) -> None:
    """Raises ValueError if rounds were done and all checkpoints are damaged.

    A damaged checkpoint of round 0 is no fault: its save was interrupted before
    the first round, and starting over loses no computation.
    """
    if any(int(damage.folder.name) for damage in damages):
        lines = ''.join(f'\n  {d.folder}: {d.fault}' for d in damages)
        raise ValueError(
            'No checkpoint of the run is whole (damaged, or made by an older '
            f'version):{lines}\nRestore one from a copy, or remove {root} to '
            'start the run over.'
        )


def _move_aside(
    run: RunFolder, root: Path, point: Point | None, damages: list[Damage]
) -> None:
    """Moves damaged checkpoints away, so that their names are free again."""
    where = 'The run starts over.'
    if point is not None:
        where = f'The run resumes after {point}.'
    for folder, fault in damages:
        aside = _free(root / 'damaged', f'{folder.parent.name}-{folder.name}')
        aside.parent.mkdir(exist_ok=True)
        shutil.move(folder, aside)
        _warn(
            run,
            f'The checkpoint {folder} is damaged ({fault}) and was moved to '
            f'{aside}. {where}',
        )


def _free(folder: Path, name: str) -> Path:
    """A path in the folder that does not exist yet, such as NAME or NAME-2."""
    number, path = 1, folder / name
    while path.exists():
        number += 1
        path = folder / f'{name}-{number}'
    return path


def _reopen(run: RunFolder) -> None:
    """Marks a complete run as incomplete in run.json."""
    info, drop = run.info, [*_OF_COMPLETE]
    values = {}
    start = continuing.start(run.changes)
    if start == continuing.Start.ROUND:
        drop += ['chosen_round', 'kept_choice']
    elif any(key.startswith('evaluation.') for key in run.changes):
        # Validations under other settings are not compared.
        chosen_round = info.get('kept_choice', info.get('chosen_round'))
        values = {} if chosen_round is None else {'kept_choice': chosen_round}
    run.update_info(drop, **values)


def _record(run: RunFolder) -> None:
    """Records in the log and in run.json that the config has changed."""
    sentence = continuing.describe(run.changes)
    _LOG.info('%s %s.', run.path, sentence)
    changed = {key: list(pair) for key, pair in run.changes.items()}
    entries = run.info.get('continued', [])
    # A start that was killed before config.json has recorded it already.
    if not (entries and entries[-1].get('changed') == changed):
        start = continuing.start(run.changes).name.lower()
        entry = {'when': now(), 'changed': changed, 'from': start}
        run.update_info(continued=[*entries, entry])
    rounds = [x['round'] for x in run.metrics() if x['stage'] == 'validation']
    old = continuing.validated_before(run.changes, max(rounds, default=0))
    if old:
        _warn(run, old)


def _has_rounds(run: RunFolder) -> bool:
    path = run.path / METRICS
    return path.exists() and b'"stage": "train"' in path.read_bytes()


def _warn(run: RunFolder, text: str) -> None:
    _LOG.warning(text)
    run.warn(text)
