"""Scores of training clients by round: the best, the last, the last ten.

A line of the stage 'views' has two of them: the global prompt on the whole
official test split, and each client's own prompt on its part of it.
"""

import math
from typing import Any

import numpy as np

from fedprompt_jax.report.records import Row
from fedprompt_jax.report.run import Run

STAGE, LAST = 'views', 10  # lines in the mean of the last
VIEWS = {
    'global': 'global prompt, whole split',
    'own': 'own prompts, each on its part',
}
# Also scored on the parts: what the skew of the parts does by itself.
ON_PARTS = {
    'global': 'global prompt, mean over parts',
    'own': 'own prompts, mean over parts',
}
# What needs no model, on the line of round 0.
CONSTANT = {
    'majority_accuracy': 'majority, whole split',
    'own_majority_accuracy': 'own majorities, each on its part',
    'own_majority_clients_accuracy': 'own majorities, mean over parts',
}
_METRICS = {
    'accuracy': 'accuracy',
    'matthews': "Matthews' correlation",
    'accuracy_f1': 'mean of accuracy and F1',
}


def metric(run: Run) -> str:
    """The name of a run's score in words."""
    name = run.config.get('evaluation', {}).get('metric', 'accuracy')
    return _METRICS.get(name, name)


def best(run: Run) -> Row | None:
    """The line of the round that validation chose among those scored.

    Nothing is chosen on the test split. None where no round that is scored was
    validated.
    """
    key = run.selection
    validated = {
        line['round']: run.preference(line)
        for line in run.stage('validation')
        if line['round'] and math.isfinite(line.get(key, math.nan))
    }
    there = [x for x in run.stage(STAGE) if x['round'] in validated]
    # Of equals the earliest.
    return max(there, key=lambda x: validated[x['round']], default=None)


def summary(run: Run, key: str) -> dict[str, float]:
    """A column of the lines: at the best round, at the last, over the last ten.

    Args:
      run: of which lines are read; without any all are NaN.
      key: such as 'global_accuracy'.
    """
    lines = [x for x in run.stage(STAGE) if x['round']]
    chosen = best(run)
    values = [x.get(key, math.nan) for x in lines[-LAST:]]
    nan = math.nan
    return {
        'best': chosen.get(key, nan) if chosen else nan,
        'last': values[-1] if values else nan,
        'last ten': float(np.mean(values)) if values else nan,
    }


def table(run: Run) -> list[list[str]]:
    """A header, then the views; [] where a run has none."""
    if not any(x['round'] for x in run.stage(STAGE)):
        return []
    chosen, score = best(run), metric(run)
    last = run.stage(STAGE)[-1]['round']
    count = min(LAST, len([x for x in run.stage(STAGE) if x['round']]))
    named = f'round {chosen["round"]}' if chosen else 'none'
    rows = [
        [
            'accuracy, official test split',
            f'best by validation ({named})',
            f'last (round {last})',
            f'mean of the last {count} scored',
        ]
    ]
    for view, words in VIEWS.items():
        rows.append(_row(run, words, f'{view}_accuracy'))
        if score != 'accuracy':
            rows.append(_row(run, f'{words}: {score}', f'{view}_score'))
    for view, words in ON_PARTS.items():
        key = f'{view}_clients_accuracy'
        rows.append(_row(run, words, key, f'{key}_se'))
    first = run.stage(STAGE)[0]
    for key, words in CONSTANT.items():
        if key in first:
            rows.append([words, *[f'{first[key]:.2f}'] * 3])
    return rows


def text(run: Run) -> str:
    """The table for a terminal; '' where a run has none."""
    rows = table(run)
    if not rows:
        return ''
    width = max(len(row[0]) for row in rows)
    head = [rows[0][0], 'best', 'last', 'last ten']
    lines = [
        f'{row[0]:<{width}}' + ''.join(f'{cell:>15}' for cell in row[1:])
        for row in [head, *rows[1:]]
    ]
    notes = [
        f'{name}: {what}'
        for name, what in zip(head[1:], rows[0][1:], strict=True)
    ]
    return '\n'.join([*lines, '', *notes, 'x 100; ± standard errors.'])


def _row(run: Run, words: str, key: str, error: str = '') -> list[str]:
    values = summary(run, key)
    errors: dict[str, Any] = summary(run, error) if error else {}
    cells = []
    for name, value in values.items():
        cell = '–' if math.isnan(value) else f'{value:.2f}'
        spread = errors.get(name, math.nan)
        # The mean of ten standard errors is no standard error of a mean.
        if name != 'last ten' and math.isfinite(spread):
            cell += f' ± {spread:.2f}'
        cells.append(cell)
    return [words, *cells]
