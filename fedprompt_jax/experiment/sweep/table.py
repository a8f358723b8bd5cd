"""The results of a sweep in one table: means over seeds with intervals."""

from collections.abc import Sequence
import csv
import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from fedprompt_jax.experiment.report import records, summary
from fedprompt_jax.experiment.sweep.points import Point, name_of

CONFIDENCE = 0.95
# What the printed table shows of the scores in sweep.csv.
SHOWN = {
    'validation.rouge_l': 'valid. ROUGE-L',
    'validation.loss': 'valid. loss',
    'global.local.rouge_l': 'global, local',
    'personalized.local.rouge_l': 'pers., local',
    'personalized.global.rouge_l': 'pers., global',
}


class Interval(NamedTuple):
    """A mean over seeds; its Student's t interval is mean ± half.

    Attributes:
      mean: NaN over nothing.
      half: NaN for fewer than two seeds.
      seeds: numbers in the mean.
    """

    mean: float
    half: float
    seeds: int


def interval(numbers: Sequence[float]) -> Interval:
    """Mean and 95 % interval of the numbers that are not NaN."""
    x = np.array(numbers, float)
    x = x[~np.isnan(x)]
    if not len(x):
        return Interval(math.nan, math.nan, 0)
    half = math.nan
    if len(x) > 1:
        t = stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1)
        half = float(t * x.std(ddof=1) / math.sqrt(len(x)))
    return Interval(float(x.mean()), half, len(x))


def scores(folder: Path) -> dict[str, float]:
    """The scores of a complete run: 'prompt.split.score' -> a number.

    'validation.rouge_l' and 'validation.loss' are those of the prompt that
    went to stage 2; the others are means over test clients, ROUGE-L and exact
    match x 100, losses in nats.
    """
    found: dict[str, float] = {}
    lines = records.read_metrics(folder)
    chosen = records.chosen_validation(folder, lines)
    if chosen is not None:
        found['validation.round'] = chosen['round']
        for key in summary.SCORES:
            found[f'validation.{key}'] = chosen[key]
    for row in summary.table(records.read_tradeoff(folder)):
        alpha = f'({row["alpha"]:g})' if row['prompt'] == 'averaged' else ''
        for split in records.SPLITS:
            for key, mean in row[split].items():
                found[f'{row["prompt"]}{alpha}.{split}.{key}'] = mean.mean
    return found


def rows(
    points: Sequence[Point], folders: Sequence[Path], told: Sequence[str]
) -> list[dict[str, Any]]:
    """A row a run: its name, what it overrides, how it ended, its scores."""
    found = []
    for point, folder, how in zip(points, folders, told, strict=True):
        own = scores(folder) if how == 'complete' else {}
        found.append(
            {'name': point.name, 'status': how, **point.overrides, **own}
        )
    return found


def as_csv(found: Sequence[dict[str, Any]]) -> str:
    """All rows and columns; empty where a run has no such thing."""
    columns = list(dict.fromkeys(key for row in found for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def text_table(points: Sequence[Point], found: Sequence[dict[str, Any]]) -> str:
    """For a terminal: points that differ in the seed alone share a line."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for point, row in zip(points, found, strict=True):
        rest = {k: v for k, v in point.overrides.items() if k != 'seed'}
        groups.setdefault(name_of(rest), []).append(row)
    width = max(map(len, groups)) + 2
    head = ''.join(f'{title:>17}' for title in SHOWN.values())
    lines = [f'{"":{width}}{"runs":>6}{head}']
    for name, own in groups.items():
        done = [row for row in own if row['status'] == 'complete']
        cells = (
            _show(interval([row.get(key, math.nan) for row in done]))
            for key in SHOWN
        )
        count = f'{len(done)}/{len(own)}'
        lines.append(
            f'{name:{width}}{count:>6}' + ''.join(f'{c:>17}' for c in cells)
        )
    lines += [
        '',
        'ROUGE-L x 100. Mean over runs of other seeds ± half the 95 % interval '
        "(Student's t).",
    ]
    lines += [
        f'{row["name"]}: {row["status"]}'
        for row in found
        if row['status'] != 'complete'
    ]
    return '\n'.join(lines)


def _show(x: Interval) -> str:
    if math.isnan(x.mean):
        return '–'
    return f'{x.mean:.2f}' + ('' if math.isnan(x.half) else f' ± {x.half:.2f}')
