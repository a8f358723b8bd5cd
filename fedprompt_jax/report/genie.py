"""The genie: by example the better of the global and the personalized answer.

It looks at the references, so that no method reaches it: its distance says what
choosing a prompt by example would be worth (Profit, 2310.04627, appendix). It
is computed from predictions that a run has kept, without a model.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from fedprompt_jax.report import records, summary
from fedprompt_jax.report.records import Row

LABEL = 'genie'
NOTE = (
    'Genie: for each example the better of the global and the personalized '
    'answer, chosen by its references.'
)
_SCORES = ('rouge_l', 'exact_match')

Example = tuple[str, str, str]  # task, id, input


def rows(folder: str | Path, scores: list[Row], metric: str) -> list[Row]:
    """Rows as those of tradeoff.csv, of each client and split.

    The answers are those after the last epoch. [] where clients trained no
    prompt, or where an older version has not kept the split of an example.

    Args:
      folder: RUN.
      scores: rows of its tradeoff.csv.
      metric: the score by which the better answer is chosen: 'rouge_l' or
        'exact_match'; of equals the personalized one.
    """
    last = summary.last_epoch(scores)
    shared: dict[Example, dict[str, Any]] = {}
    own: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for line in records.read_predictions(folder) if last else ():
        if line['prompt'] == 'global':
            shared[_example(line)] = line
        elif (line['prompt'], line['epoch']) == ('personalized', last):
            for split in line.get('splits', ()):
                own.setdefault((line['client'], split), []).append(line)
    found = []
    for row in scores:
        key = row['client'], row['split']
        if (row['prompt'], row['epoch']) != ('personalized', last):
            continue
        if key not in own:
            continue
        # A prompt that is not finite has no scores: its client is dropped.
        dropped = any(line[metric] is None for line in own[key])
        better = [
            max(line, shared[_example(line)], key=lambda x: x[metric])
            for line in (own[key] if not dropped else ())
        ]
        means = {
            name: 100 * float(np.mean([x[name] for x in better]))
            if better
            else math.nan
            for name in _SCORES
        }
        answer = {'prompt': LABEL, 'alpha': math.nan, 'loss': math.nan}
        found.append(row | answer | means)
    return found


def _example(line: dict[str, Any]) -> Example:
    return line['task'], line['id'], line['input']
