"""A whole tiny run of ours, to be compared with PyTorch's; no torch here.

`ours` starts a run as main.py does, and `Results` is what either leaves.
whole_run_torch.py computes the same run by itself and stores its results in
tests/golden/whole_run, with which whole_run_test compares ours.
"""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest import mock
import warnings

from ml_collections import config_dict
import numpy as np
from orbax.checkpoint import v1 as ocp
from safetensors import numpy as safetensors

from fedprompt_jax.experiment import run
from fedprompt_jax.report import page
from tests import tiny
from tests.parity import golden

NAME = 'run'
FOLDER = golden.FOLDER / 'whole_run'
# Numbers of a model, which rounding changes; and scores of its texts, which it
# does not. Of a line of a log all else has to be equal.
MEASURED = {
    'loss', 'loss_first_step', 'loss_last_step', 'client_grad_norm',
    'prompt_norm', 'update_norm', 'predicted_change', 'local_loss',
    'global_loss',
}  # fmt: skip
SCORES = {
    'rouge_l', 'exact_match', 'rouge_l_se', 'local_rouge_l',
    'local_exact_match', 'global_rouge_l', 'global_exact_match',
}  # fmt: skip


@dataclasses.dataclass
class Results:
    """What a run leaves.

    Attributes:
      chosen_round: whose prompt goes to stage 2.
      rows: lines of tradeoff.csv, every value a text.
      predictions: lines of predictions.jsonl.
      metrics: lines of metrics.jsonl, without the seconds.
      prompts: [P, D] by name: 'round 0' to the last, 'initial', 'global', and
        'client-3' for each client of stage 2.
    """

    chosen_round: int
    rows: list[dict[str, str]]
    predictions: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    prompts: dict[str, np.ndarray]


def ours(
    config: config_dict.ConfigDict, folder: Path, name: str = 'run'
) -> Results:
    """Starts the run of a config; returns what it leaves in folder/name."""
    path = folder / name
    with mock.patch.object(page, 'write'):  # figures take most of the time
        run.execute(config, path, folder / 'cache')
    return read_run(path)


def read_run(path: Path) -> Results:
    """What a run left in its folder."""
    with open(path / 'tradeoff.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    prompts = {
        f'round {p.name}': read_checkpoint(p)
        for p in sorted((path / 'checkpoints' / 'train').iterdir())
        if p.name.isdecimal()
    }
    for file in (path / 'prompts').rglob('*.safetensors'):
        (prompt,) = safetensors.load_file(file).values()
        prompts[file.parent.name] = prompt
    return Results(
        tiny.read_json(path / 'run.json')['chosen_round'],
        rows,
        read_lines(path / 'predictions.jsonl'),
        [
            {k: v for k, v in line.items() if k != 'seconds'}
            for line in read_lines(path / 'metrics.jsonl')
        ],
        prompts,
    )


def read_checkpoint(path: Path) -> np.ndarray:
    """The server's prompt [P, D] in a checkpoint of stage 1."""
    with warnings.catch_warnings():  # as to devices, which are the same
        warnings.simplefilter('ignore', UserWarning)
        tree = ocp.load_pytree(path)
    return np.asarray(tree['server']['params']['prompt'])


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def labels(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What has to be equal in the lines of a log."""
    return [
        {k: v for k, v in line.items() if k not in MEASURED | SCORES}
        for line in lines
    ]


def numbers(lines: list[dict[str, Any]], keys: set[str]) -> list[np.ndarray]:
    """The numbers of some keys, an array a line, in the order of the keys.

    Without those that are none: an answer without a model has no loss.
    """
    return [
        np.array(
            [
                float(line[key])
                for key in sorted(line.keys() & keys)
                if line[key] not in (None, 'nan')
            ]
        )
        for line in lines
    ]


def moves(prompts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What training changed: by name, a prompt less the one it began from.

    A client's began from the global one, all others from the first.
    """
    begins = {'client': 'global', 'global': 'initial', 'round': 'round 0'}
    begins = {
        name: begins[name.partition('-')[0].partition(' ')[0]]
        for name in prompts.keys() - {'initial', 'round 0'}
    }
    return {k: prompts[k] - prompts[begin] for k, begin in begins.items()}


@dataclasses.dataclass
class Stored:
    """What the folder of golden files holds.

    Attributes:
      versions: of the packages that computed it.
      digests: of the inputs.
      run: the run.
      variants: name -> the prompts of its rounds.
    """

    versions: dict[str, str]
    digests: dict[str, str]
    run: Results
    variants: dict[str, dict[str, np.ndarray]]


def write(stored: Stored) -> None:
    """Writes results.json, tradeoff.csv, the lines of logs, and prompts.npz."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    run = stored.run
    about = {
        'versions': stored.versions,
        'digests': stored.digests,
        'chosen_round': run.chosen_round,
    }
    tiny.write_json(FOLDER / 'about.json', about)
    with open(FOLDER / 'tradeoff.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, [*run.rows[0]], lineterminator='\n')
        writer.writeheader()
        writer.writerows(run.rows)
    for name in ('predictions', 'metrics'):
        lines = [json.dumps(line) + '\n' for line in getattr(run, name)]
        (FOLDER / f'{name}.jsonl').write_text(''.join(lines))
    prompts = {f'run {k}': x for k, x in run.prompts.items()}
    for variant, rounds in stored.variants.items():
        prompts |= {f'{variant} {k}': x for k, x in rounds.items()}
    np.savez_compressed(FOLDER / 'prompts.npz', **prompts)


def read() -> Stored:
    """What `write` was given."""
    about = tiny.read_json(FOLDER / 'about.json')
    prompts: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / 'prompts.npz') as file:
        for key, prompt in file.items():
            variant, _, name = key.partition(' ')
            prompts.setdefault(variant, {})[name] = prompt
    with open(FOLDER / 'tradeoff.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    results = Results(
        about['chosen_round'],
        rows,
        read_lines(FOLDER / 'predictions.jsonl'),
        read_lines(FOLDER / 'metrics.jsonl'),
        prompts.pop('run'),
    )
    return Stored(about['versions'], about['digests'], results, prompts)
