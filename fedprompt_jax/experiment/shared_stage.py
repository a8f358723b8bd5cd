"""What another run has computed, taken over where it is the same to the bit.

Runs that differ in stage 2 alone train the same prompt: they share stage 1.
Runs that train in other ways may do the same before their rounds, such as a
distillation: they share the stage before them. What a stage depends on has one
digest, which run.json holds: keys of the config, data, weights, row shapes,
versions and devices. A run that finds its digest in the folder of another one
copies the last checkpoint of that stage and the lines of its log up to there,
and resumes there.
"""

from collections.abc import Iterable, Sequence
import hashlib
import itertools
import json
import logging
from pathlib import Path
import shutil
from typing import Any, NamedTuple

import jax

from fedprompt_jax import files
from fedprompt_jax.experiment import (
    before_rounds,
    checkpoint,
    clients,
    integrity,
    processes,
    versions,
)
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.run_folder import (
    FREE_KEYS,
    LOGS,
    ROUNDING_KEYS,
    RunFolder,
)
from fedprompt_jax.report import records
from fedprompt_jax.report.records import CONFIG, INFO, METRICS

_LOG = logging.getLogger(__name__)

# Sections and keys of the config that no round and no validation reads.
STAGE_2 = (
    'name', 'scale', 'log', 'personalization',
    'measures', 'heterogeneity', 'landscape',
)  # fmt: skip
OF_STAGE_2 = ('evaluation.few_shot',)
DIGEST, FROM = 'stage_1', 'stage_1_from'  # keys of run.json
BEFORE, BEFORE_FROM = 'stage_before', 'stage_before_from'
WAY, SEVERAL = 'computed_by', 'several'
# Sections and keys that a stage before the rounds may read, besides its own.
OF_BEFORE = ('seed', 'data', 'loss', 'model', 'packing', 'mesh')


class Part(NamedTuple):
    """A part of a run that ends with a checkpoint, and that runs may share.

    Attributes:
      digest: sha256 (hex) of all that its bits depend on.
      folder: of its checkpoints, below `checkpoints`.
      steps: of its last checkpoint.
      digest_key: of the digest in run.json.
      from_key: of the name of the run that it was taken over from.
    """

    digest: str
    folder: str
    steps: int
    digest_key: str
    from_key: str


def share(
    run: RunFolder,
    experiment: Experiment,
    fingerprints: dict[str, str],
    together: Any,
    others: Iterable[Path],
) -> None:
    """Takes over what one of the others has done; notes what this run does.

    Args:
      run: the run's folder.
      experiment: its parts.
      fingerprints: of tokens and weights; see run.json.
      together: the runs that are computed as one bank; None for a run alone.
      others: run folders; the first with the same stage 1 is copied from, else
        the first with the same stage before the rounds.
    """
    parts = shareable(experiment, fingerprints)
    alone = together is None
    way = _way(experiment, alone)
    mixed = _begun(run.path / 'checkpoints') and run.info.get(WAY) != way
    processes.first_alone(lambda: take_over(run, parts, list(others)))
    # A bank adds in another order than a run alone, so that its bits are no
    # other run's; nor are those of a run that went on in another way.
    run.update_info(
        **{WAY: SEVERAL if mixed else way},
        **{
            part.digest_key: (
                part.digest
                if not mixed and (alone or part.from_key in run.info)
                else ''
            )
            for part in parts
        },
    )


def shareable(
    experiment: Experiment, fingerprints: dict[str, str]
) -> list[Part]:
    """The parts of a run that another run may take over, the largest first."""
    config = experiment.config
    stage_1 = digest(experiment, fingerprints)
    parts = [Part(stage_1, 'train', config.rounds, DIGEST, FROM)]
    for stage in experiment.algorithm.stages[:1]:
        if stage.reads is not None and stage.steps:
            folder = before_rounds.folder_name(0, stage)
            of_stage = [stage.name, stage.steps, stage.reads]
            before = digest_before(experiment, fingerprints, of_stage)
            parts.append(Part(before, folder, stage.steps, BEFORE, BEFORE_FROM))
    return parts


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """What a config says of stage 1; of equal ones the prompts are the same.

    Args:
      config: as nested dicts; it is not changed.
    """
    kept = {key: value for key, value in config.items() if key not in STAGE_2}
    for key in (*FREE_KEYS, *OF_STAGE_2):
        section, _, name = key.partition('.')
        if section in kept and key not in ROUNDING_KEYS:
            kept[section] = {
                k: v for k, v in kept[section].items() if k != name
            }
    return kept


def digest(experiment: Experiment, fingerprints: dict[str, str]) -> str:
    """The sha256 (hex) of all that the bits of stage 1 depend on.

    It is that of a run that is computed alone.

    Args:
      experiment: its parts.
      fingerprints: of tokens and weights; see run.json.
    """
    return _digest(
        experiment,
        fingerprints,
        settings(experiment.config.to_dict()),
        # Validation scores in the shapes that stage 2 needs too.
        [experiment.packing_of_rounds, len(experiment.data.held_out.clients)],
    )


def digest_before(
    experiment: Experiment, fingerprints: dict[str, str], of_stage: Any
) -> str:
    """The same of the first stage before the rounds.

    Args:
      experiment: its parts.
      fingerprints: of tokens and weights; see run.json.
      of_stage: what the stage says of itself, such as the settings it reads.
    """
    kept = settings(experiment.config.to_dict())
    return _digest(
        experiment,
        fingerprints,
        {key: value for key, value in kept.items() if key in OF_BEFORE},
        of_stage,
    )


def _digest(
    experiment: Experiment,
    fingerprints: dict[str, str],
    settings: dict[str, Any],
    more: Any,
) -> str:
    return _sha256(
        settings,
        {key: fingerprints[key] for key in ('tokens', 'weights')},
        {k: x.fingerprints for k, x in experiment.other_models.items()},
        experiment.data.training_fingerprint,
        more,
        *_machine(),
    )


def _way(experiment: Experiment, alone: bool) -> str:
    """The sha256 (hex) of what a later start may change, and with it bits."""
    keys = (key.split('.') for key in ROUNDING_KEYS)
    values = [experiment.config[section][name] for section, name in keys]
    return _sha256(values, alone, *_machine())


def _machine() -> list[Any]:
    devices = [str(device) for device in jax.devices()]
    return [versions.versions(), devices, jax.process_count()]


def _sha256(*parts: Any) -> str:
    text = json.dumps(files.plain(list(parts)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def take_over(
    run: RunFolder, parts: Sequence[Part], others: Sequence[Path]
) -> None:
    """Copies a part of another run into a run that has no checkpoint yet.

    Args:
      run: its folder, of the first process.
      parts: what is looked for, the first before the second.
      others: run folders, of which the first that fits is taken.
    """
    root = run.path / 'checkpoints'
    if _begun(root):
        return
    for part, other in itertools.product(parts, others):
        found = _complete(other, part)
        if found is None:
            continue
        folder, notes = found
        # A checkpoint counts on the lines of the log: they come first.
        size = notes['log_sizes'][METRICS]
        with (other / METRICS).open('rb') as file:
            files.write_whole(run.path / METRICS, file.read(size))
        for name in clients.files(notes):
            _copy(
                other / 'checkpoints' / clients.FOLDER / name,
                root / clients.FOLDER / name,
            )
        if part.digest_key == DIGEST:
            for record in other.glob('*.json'):  # of stages before the rounds
                if record.name not in (CONFIG, INFO):
                    _copy(record, run.path / record.name)
        _copy(folder, root / part.folder / folder.name)
        run.update_info(**{part.from_key: other.name})
        _LOG.info('%s: taken over from %s.', part.folder, other)
        return


def _begun(root: Path) -> bool:
    """Whether the run has a checkpoint of any stage."""
    stages = ['train', 'personalize']
    stages += [path.name for path in root.glob(f'{before_rounds.FOLDER}*')]
    return any(checkpoint.folders(root / stage) for stage in stages)


def _complete(other: Path, part: Part) -> tuple[Path, dict[str, Any]] | None:
    """The sound last checkpoint of a run's part, and its notes, if any."""
    try:
        info = records.read_json(other, records.INFO)
    except ValueError:
        return None
    root = other / 'checkpoints'
    folder = checkpoint.folders(root / part.folder).get(part.steps)
    if info.get(part.digest_key) != part.digest or folder is None:
        return None
    if integrity.fault(folder):
        return None
    notes = checkpoint.read_notes(folder)
    if clients.fault(root, notes):
        return None
    sizes = notes['log_sizes']
    if any(sizes[name] for name in LOGS if name != METRICS):
        return None  # scores of an earlier stage 2
    path = other / METRICS
    if not path.is_file() or path.stat().st_size < sizes[METRICS]:
        return None
    same = integrity.sha256(path, sizes[METRICS])
    return (folder, notes) if same == notes['log_sha256'][METRICS] else None


def _copy(source: Path, target: Path) -> None:
    """Copies a file or a folder, which appears whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'.{target.name}.copy')
    shutil.rmtree(temporary, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, temporary)
    else:
        shutil.copy2(source, temporary)
    temporary.rename(target)
