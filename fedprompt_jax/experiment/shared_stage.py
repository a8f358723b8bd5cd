"""Stage 1 of another run, taken over where it is the same to the bit.

Runs that differ in stage 2 alone train the same prompt. What stage 1 depends on
has one digest, which run.json holds: keys of the config, data, weights, row
shapes, versions and devices. A run that finds its digest in the folder of
another one copies the checkpoint of the last round and the lines of its rounds,
and resumes there.
"""

from collections.abc import Iterable
import hashlib
import json
import logging
from pathlib import Path
import shutil
from typing import Any

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
from fedprompt_jax.experiment.run_folder import FREE_KEYS, LOGS, RunFolder
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


def share(
    run: RunFolder,
    experiment: Experiment,
    fingerprints: dict[str, str],
    together: Any,
    others: Iterable[Path],
) -> None:
    """Takes stage 1 over from one of the others; notes the digest of it.

    Args:
      run: the run's folder.
      experiment: its parts.
      fingerprints: of tokens and weights; see run.json.
      together: the runs that are computed as one bank; None for a run alone.
      others: run folders; the first whose stage 1 is the same is copied.
    """
    alone = digest(experiment, fingerprints)
    processes.first_alone(lambda: take_over(run, alone, others))
    # The sums of a bank are in another order than those of a run alone.
    own = together is None or FROM in run.info
    run.update_info(**{DIGEST: alone if own else ''})


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """What a config says of stage 1; of equal ones the prompts are the same.

    Args:
      config: as nested dicts; it is not changed.
    """
    kept = {key: value for key, value in config.items() if key not in STAGE_2}
    for key in (*FREE_KEYS, *OF_STAGE_2):
        section, _, name = key.partition('.')
        if section in kept and section != 'mesh':
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
    parts = [
        settings(experiment.config.to_dict()),
        {key: fingerprints[key] for key in ('tokens', 'weights')},
        {k: x.fingerprints for k, x in experiment.other_models.items()},
        experiment.data.training_fingerprint,
        # Validation scores in the shapes that stage 2 needs too.
        experiment.packing_of_rounds,
        len(experiment.data.held_out.clients),
        versions.versions(),
        [str(device) for device in jax.devices()],
        jax.process_count(),
    ]
    text = json.dumps(files.plain(parts), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def take_over(run: RunFolder, wanted: str, others: Iterable[Path]) -> None:
    """Copies stage 1 of another run into a run that has no checkpoint yet.

    Args:
      run: its folder, of the first process.
      wanted: the digest of its stage 1.
      others: run folders, of which the first that fits is taken.
    """
    root = run.path / 'checkpoints'
    for other in () if _begun(root) else others:
        found = _complete(other, wanted, run.config['rounds'])
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
        for record in other.glob('*.json'):  # of stages before the rounds
            if record.name not in (CONFIG, INFO):
                _copy(record, run.path / record.name)
        _copy(folder, root / 'train' / folder.name)
        run.update_info(**{FROM: other.name})
        _LOG.info('Stage 1 is taken over from %s.', other)
        return


def _begun(root: Path) -> bool:
    """Whether the run has a checkpoint of any stage."""
    stages = ['train', 'personalize']
    stages += [path.name for path in root.glob(f'{before_rounds.FOLDER}*')]
    return any(checkpoint.folders(root / stage) for stage in stages)


def _complete(
    other: Path, wanted: str, rounds: int
) -> tuple[Path, dict[str, Any]] | None:
    """The sound checkpoint of a run's last round, and its notes, if any."""
    try:
        info = records.read_json(other, records.INFO)
    except ValueError:
        return None
    root = other / 'checkpoints'
    folder = checkpoint.folders(root / 'train').get(rounds)
    if info.get(DIGEST) != wanted or folder is None:
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
