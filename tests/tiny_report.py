"""Run folders with scores and logs by hand, for figures and reports."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fedprompt_jax.report import records

NAN = math.nan
EXAMPLES = {'local': 'held_out_client', 'global': 'evaluated_clients'}
EVIL = '<script>alert("x")</script>'


def rows_of(prompt, local, common, epoch=0, alpha=0.0) -> list[dict]:
    """A row a client x split; `common` is one score or one a client."""
    common = np.broadcast_to(common, len(local))
    return [
        {
            'run': 'r',
            'prompt': prompt,
            'seed': 0,
            'client': 100 + i,
            'client_name': f'clinic {i}' if i else '',
            'epoch': epoch,
            'alpha': alpha,
            'lambda': 0.0,
            'split': split,
            'rouge_l': float(score),
            'exact_match': float(score) / 2,
            'loss': 1.0,
            'n': 8,
            'examples': examples,
        }
        for i, pair in enumerate(zip(local, common, strict=True))
        for (split, examples), score in zip(EXAMPLES.items(), pair, strict=True)
    ]


def scores():
    return [
        *rows_of('bare', [1, 2, 3], 5),
        *rows_of('initial', [2, 3, 4], 4),
        *rows_of('global', [10, 20, 30], 25),
        *rows_of('personalized', [11, 22, 33], [24, 24, 24], 1, 1.0),
        *rows_of('personalized', [14, NAN, 38], [20, NAN, 23], 2, 1.0),
        *rows_of('averaged', [13, NAN, 35], [22, NAN, 24], 2, 0.75),
        *rows_of('averaged', [12, NAN, 33], [23, NAN, 24], 2, 0.5),
    ]


def metrics(rounds=3):
    yield {'stage': 'validation', 'round': 0, 'rouge_l': 4.0, 'seconds': 1.0}
    for r in range(1, rounds + 1):
        yield {
            'stage': 'train',
            'round': r,
            'loss': 5.0 - r,
            'prompt_norm': 40.0,
            'client_grad_norm': None if r == 2 else 0.5,
            'update_norm': 1.0 / r,
            'bytes_up': 2048,
            'bytes_down': 4096,
            'tokens': 1000,
            'flops': 2e12,
            'seconds': 6.0,
            'clients_dropped': int(r == 2),
        }
        score = {1: 6.0, 2: 8.0, 3: 8.0}[r]
        yield {'stage': 'validation', 'round': r, 'rouge_l': score}
    yield {'stage': 'personalize', 'epoch': 1, 'loss': 2.0, 'seconds': 2.0}
    yield {'stage': 'score', 'prompt': 'bare', 'epoch': 0, 'seconds': 3.0}


def write_scores(folder, rows):
    with open(folder / 'tradeoff.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, records.TRADEOFF_FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def make_run(folder: Path, scores=scores, rounds: int = 3, **info: Any) -> Path:
    """Makes a run folder; what is None is not written."""
    folder.mkdir()
    config = {
        'name': 'fedavg',
        'loss': 'sequence',
        'clients_per_round': 2,
        'prompt': {'text': EVIL},
    }
    (folder / 'config.json').write_text(json.dumps(config))
    info = {'command': f'main.py {EVIL}', 'seconds': 40.0} | info
    (folder / 'run.json').write_text(json.dumps(info))
    lines = (json.dumps(x) + '\n' for x in metrics(rounds))
    (folder / 'metrics.jsonl').write_text(''.join(lines))
    if scores:
        write_scores(folder, scores())
    return folder
