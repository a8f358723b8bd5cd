"""Runs without their models: what figures, tables and claims are made of.

An archived run is a run folder with its config, its logs and its scores. It has
no checkpoint and no prompt, and no text: of the answers there are the scores of
the global, the last personalized and the routed prompts. It is small enough for
a repository, and `--redraw` and `--claims` read it like the run itself.
"""

from collections.abc import Iterator, Sequence
import hashlib
import json
from pathlib import Path
import shutil
from typing import Any

from fedprompt_jax import files
from fedprompt_jax.experiment.run_folder import PATH_KEYS, seal
from fedprompt_jax.personalization.router import LABELS
from fedprompt_jax.report import records
from fedprompt_jax.report.summary import last_epoch

# Of a line of predictions.jsonl, what is not a score.
TEXTS = ('prediction', 'references', 'choices', 'choice_losses')
# Of run.json: what is of the machine, and digests of what is left out.
OF_THE_MACHINE = ('command', 'sha256')
ARCHIVED = 'archived'  # key of its run.json
# Labels of the answers that figures and tables choose between.
CHOSEN = ('global', 'personalized', *LABELS.values())
DIGITS = 16  # of the digest that stands for an input


def archive(folders: Sequence[Path], target: Path) -> list[Path]:
    """Archives complete runs; returns their new folders.

    A run that is there already is written anew.

    Args:
      folders: the run folders.
      target: the folder in which each gets one, of the same name.

    Raises:
      ValueError: `target` is where the runs are, or has a folder of that name
        that is no archived run; nothing is written.
    """
    made = []
    for folder in folders:  # all of them, before any is written
        path = target / folder.name
        if path.resolve() == folder.resolve():
            raise ValueError(
                f'--archive={target} is where the runs are; give another '
                'folder.'
            )
        if path.exists() and not is_archived(path):
            raise ValueError(
                f'{path} is no archived run and would be lost; give '
                '--archive another folder.'
            )
    for folder in folders:
        path = target / folder.name
        new = path.with_name(f'.{path.name}.new')
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        _copy(folder, new)
        shutil.rmtree(path, ignore_errors=True)
        new.rename(path)
        made.append(path)
    return made


def is_archived(folder: Path) -> bool:
    """Whether a run folder is an archived run's."""
    return ARCHIVED in records.read_json(folder, records.INFO)


def _copy(folder: Path, path: Path) -> None:
    """Archives a run in an empty folder."""
    for record in folder.glob('*.json'):
        if record.name not in (records.INFO, records.CONFIG):
            shutil.copyfile(record, path / record.name)
    config = without_folders(records.read_json(folder, records.CONFIG))
    files.write_json(path / records.CONFIG, config)
    for name in (records.METRICS, records.TRADEOFF):
        shutil.copyfile(folder / name, path / name)
    lines = (json.dumps(line) + '\n' for line in _answers(folder))
    files.write_whole(path / records.PREDICTIONS, ''.join(lines))
    info = records.read_json(folder, records.INFO)
    info = {k: v for k, v in info.items() if k not in OF_THE_MACHINE}
    seal(path, info | {ARCHIVED: True})


def without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """The config, whose folders are names: where they lay is of the machine."""
    changed: dict[str, Any] = {}
    for key in PATH_KEYS:
        section, _, name = key.partition('.')
        kept = changed.get(section, config.get(section, {}))
        path = Path(kept.get(name) or '')
        # Else it is a name, such as a model's on the hub.
        if path.is_absolute() or path.expanduser().exists():
            changed[section] = kept | {name: path.name}
    return config | changed


def _answers(folder: Path) -> Iterator[dict[str, Any]]:
    """Lines of predictions.jsonl without texts, of the prompts that count."""
    last = last_epoch(records.read_tradeoff(folder))
    for line in records.read_predictions(folder):
        if line['prompt'] not in CHOSEN:
            continue
        if line['prompt'] != 'global' and line['epoch'] != last:
            continue
        digest = hashlib.sha256(line['input'].encode()).hexdigest()[:DIGITS]
        scores = {k: v for k, v in line.items() if k not in TEXTS}
        yield scores | {'input': digest}
