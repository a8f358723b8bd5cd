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
from fedprompt_jax.experiment.run_folder import seal
from fedprompt_jax.report import records
from fedprompt_jax.report.summary import last_epoch

# Of a line of predictions.jsonl, what is not a score.
TEXTS = ('prediction', 'references', 'choices', 'choice_losses')
# Of run.json: what is of the machine, and digests of what is left out.
OF_THE_MACHINE = ('command', 'sha256')
DIGITS = 16  # of the digest that stands for an input


def archive(folders: Sequence[Path], target: Path) -> list[Path]:
    """Archives complete runs; returns their new folders.

    A run that is there already is written anew.

    Args:
      folders: the run folders.
      target: the folder in which each gets one, of the same name.

    Raises:
      ValueError: `target` is where the runs are.
    """
    made = []
    for folder in folders:
        path = target / folder.name
        if path.resolve() == folder.resolve():
            raise ValueError(
                f'--archive={target} is where the runs are; give another '
                'folder.'
            )
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        for record in folder.glob('*.json'):
            if record.name != records.INFO:
                shutil.copyfile(record, path / record.name)
        for name in (records.METRICS, records.TRADEOFF):
            shutil.copyfile(folder / name, path / name)
        lines = (json.dumps(line) + '\n' for line in _answers(folder))
        files.write_whole(path / records.PREDICTIONS, ''.join(lines))
        info = records.read_json(folder, records.INFO)
        seal(path, {k: v for k, v in info.items() if k not in OF_THE_MACHINE})
        made.append(path)
    return made


def _answers(folder: Path) -> Iterator[dict[str, Any]]:
    """Lines of predictions.jsonl without texts, of the prompts that count."""
    last = last_epoch(records.read_tradeoff(folder))
    for line in records.read_predictions(folder):
        if line['prompt'] != 'global' and line['epoch'] != last:
            continue
        if line['prompt'] in ('bare', 'initial', 'averaged'):
            continue
        digest = hashlib.sha256(line['input'].encode()).hexdigest()[:DIGITS]
        scores = {k: v for k, v in line.items() if k not in TEXTS}
        yield scores | {'input': digest}
