"""The results of a study in one table: means over seeds with intervals."""

from collections.abc import Iterator, Sequence
import csv
import io
import math
from pathlib import Path
import re
import textwrap
from typing import Any, NamedTuple, TypeVar

import numpy as np
from scipy import stats

from fedprompt_jax.experiment import run_folder
from fedprompt_jax.report import records as records_lib
from fedprompt_jax.report import summary
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import tradeoff_table
from fedprompt_jax.study.points import Point, differing, name_of

FILE = 'table.csv'
COMPLETE = 'complete'
OTHER = 'of another config'
T = TypeVar('T')
CONFIDENCE = 0.95  # of an interval
SELECTION = 'selection'  # column: the score that chose the prompt
# Columns of table.csv that the printed table shows -> their titles; {} is the
# score that chose the prompts, such as rouge_l.
SHOWN = {
    'validation.{}': 'valid. {}',
    'validation.loss': 'valid. loss',
    'global.local.{}': 'local, before',
    'global.global.{}': 'global, before',
    'personalized.local.{}': 'local, after',
    'personalized.global.{}': 'global, after',
}
# Prompts that nobody trains, a line each, in the columns of 'before'.
BASELINES = {
    'bare': 'no prompt',
    'few-shot': 'few-shot',
    'copy': 'copy',
    'majority': 'majority',
}


class Interval(NamedTuple):
    """A mean over seeds; its Student's t interval is mean ± half.

    Attributes:
      mean: the mean; NaN for no seed.
      half: half the width of the interval; NaN for fewer than two seeds.
      seeds: the number of seeds in the mean.
    """

    mean: float
    half: float
    seeds: int


def interval(numbers: Sequence[float]) -> Interval:
    """The mean of the numbers that are not NaN, and its 95 % interval.

    Args:
      numbers: one for each seed.
    """
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
    """The scores of a complete run, as columns of table.csv.

    Returns:
      'prompt.split.score' -> mean over test clients, such as
      'global.local.rouge_l'; and 'validation.score', those of the prompt that
      went to stage 2, with its round as 'validation.round'. ROUGE-L and exact
      match are x 100, losses in nats.
    """
    values: dict[str, float] = {}
    chosen = Run(folder).chosen_validation
    if chosen is not None:
        values['validation.round'] = chosen['round']
        for key in summary.SCORES:
            values[f'validation.{key}'] = chosen[key]
    for row in summary.table(records_lib.read_tradeoff(folder)):
        alpha = f'({row["alpha"]:g})' if row['prompt'] == 'averaged' else ''
        for split in records_lib.SPLITS:
            for key, mean in row[split].items():
                values[f'{row["prompt"]}{alpha}.{split}.{key}'] = mean.mean
    return values


def status(point: Point, folder: Path) -> str:
    """How far a point's run has come, from the files in its folder.

    Returns:
      COMPLETE, or words that begin with OTHER, 'not complete', 'damaged' or
      'diverged'.
    """
    info = Run(folder).info
    if info:
        differences = run_folder.other_config(folder, point.config.to_dict())
        if differences:
            return f'{OTHER}: {"; ".join(differences)}'
        if more := run_folder.continuation(folder, point.config.to_dict()):
            return f'not complete: {more}'
    if info.get('complete'):
        wrong = run_folder.changed_file(folder)
        return f'damaged: {wrong}' if wrong else COMPLETE
    if 'diverged' in info:
        return f'diverged: {info["diverged"]}'
    return 'not complete'


def rows(
    points: Sequence[Point], folders: Sequence[Path], ends: Sequence[str]
) -> list[dict[str, Any]]:
    """A row for each run: the keys it overrides, name, status and scores.

    Args:
      points: the runs.
      folders: the run folder of each.
      ends: the status of each; only complete runs have scores.
    """
    records = []
    for point, folder, end in zip(points, folders, ends, strict=True):
        columns: dict[str, Any] = {}
        if end == COMPLETE:
            run = Run(folder)
            columns = {
                SELECTION: run.selection,
                **scores(folder),
                **tradeoff_table.columns(run),
            }
        records.append(
            {**point.overrides, 'point': folder.name, 'status': end, **columns}
        )
    return records


def as_csv(records: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV; a cell is empty where a run lacks the column."""
    columns = list(dict.fromkeys(key for row in records for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def cells(
    points: Sequence[Point], records: Sequence[dict[str, Any]]
) -> list[list[str]]:
    """A header, and a line for points that differ in the seed alone.

    Args:
      points: the runs.
      records: the row of each, see `rows`.
    """
    metric = _metric(records)
    title = summary.score_names(metric)[metric]
    titles = {k.format(metric): v.format(title) for k, v in SHOWN.items()}
    shown = {
        k: v for k, v in titles.items() if any(k in row for row in records)
    }
    lines = [['', 'runs', *shown.values()]]
    for name, group in grouped(points, records):
        done = [row for row in group if row['status'] == COMPLETE]
        means = (
            _show(interval([row.get(key, math.nan) for row in done]))
            for key in shown
        )
        lines.append([name, f'{len(done)}/{len(group)}', *means])
    return [*lines, *_baselines(points, records, metric, list(shown))]


def grouped(
    points: Sequence[Point], items: Sequence[T]
) -> list[tuple[str, list[T]]]:
    """The lines of a table: their names, and the items of the points in each.

    Points of a line differ in the seed alone.

    Args:
      points: the runs.
      items: one of each.
    """
    # What a line's points override besides the seed, and their items.
    groups: list[tuple[dict[str, Any], list[T]]] = []
    for point, item in zip(points, items, strict=True):
        rest = {k: v for k, v in point.overrides.items() if k != 'seed'}
        group = next((some for other, some in groups if other == rest), None)
        if group is None:
            groups.append((rest, group := []))
        group.append(item)
    # Two values may have one short name (0.1 and 0.1000001): show them whole.
    short = [name_of(o) for o in differing([rest for rest, _ in groups])]
    return [
        (name if short.count(name) == 1 else f'{rest}', group)
        for name, (rest, group) in zip(short, groups, strict=True)
    ]


def _baselines(
    points: Sequence[Point],
    records: Sequence[dict[str, Any]],
    metric: str,
    shown: Sequence[str],
) -> Iterator[list[str]]:
    """A line for each baseline: the mean over the seeds of its scores.

    None for one that scores otherwise with other runs of the same seed: they
    have other data or another model.
    """
    complete = [
        (point.config.seed, row)
        for point, row in zip(points, records, strict=True)
        if row['status'] == COMPLETE
    ]
    for label, name in BASELINES.items():
        columns = {
            f'global.{split}.{metric}': f'{label}.{split}.{metric}'
            for split in records_lib.SPLITS
        }
        by_seed: dict[int, set[tuple[float, ...]]] = {}
        for seed, row in complete:
            if all(column in row for column in columns.values()):
                scores = tuple(row[column] for column in columns.values())
                by_seed.setdefault(seed, set()).add(scores)
        if not by_seed or any(len(found) > 1 for found in by_seed.values()):
            continue
        seeds = [found.pop() for found in by_seed.values()]
        means = dict(
            zip(columns, map(interval, zip(*seeds, strict=True)), strict=True)
        )
        cells = (_show(means[key]) if key in means else '–' for key in shown)
        yield [name, f'{len(seeds)}', *cells]


def notes(records: Sequence[dict[str, Any]]) -> list[str]:
    """Sentences under the table."""
    metric = _metric(records)
    title = summary.score_names(metric)[metric]
    return [
        f'{title[0].upper()}{title[1:]} x 100: of validation clients, and of '
        'test clients before and after personalization.',
        'Mean over complete runs of other seeds ± half the 95 % interval '
        "(Student's t).",
        'No prompt, few-shot, copy and majority train nothing; their number of '
        'runs is that of seeds.',
    ]


def gaps(records: Sequence[dict[str, Any]]) -> list[str]:
    """The runs without a result, each with its status."""
    return [
        f'{row["point"]}: {row["status"]}'
        for row in records
        if row['status'] != COMPLETE
    ]


def text(
    lines: Sequence[Sequence[str]], notes: Sequence[str], gaps: Sequence[str]
) -> str:
    """The table for a terminal, its columns as wide as they need to be.

    Args:
      lines: a header, and cells.
      notes: sentences under the table.
      gaps: see `gaps`.
    """
    header, *body = lines
    columns = []
    for column in zip(header, *body, strict=True):
        width = max(map(len, column))
        left = _is_words(column[1:])
        columns.append(
            [x.ljust(width) if left else x.rjust(width) for x in column]
        )
    shown = ['  '.join(line).rstrip() for line in zip(*columns, strict=True)]
    folded = [textwrap.fill(' '.join(notes), 80)] if notes else []
    return '\n'.join([*shown, '', *folded, *gaps])


def markdown(
    lines: Sequence[Sequence[str]], notes: Sequence[str], gaps: Sequence[str]
) -> str:
    """The table in Markdown, as `text`."""
    header, *body = lines
    columns = zip(*body, strict=True) if body else [()] * len(header)
    rule = ['---' if _is_words(column) else '---:' for column in columns]
    shown = [f'| {" | ".join(line)} |' for line in (header, rule, *body)]
    below = [*notes, *(f'No result: {gap}' for gap in gaps)]
    return '\n'.join([*shown, '', *below]) + '\n'


def _is_words(cells: Sequence[str]) -> bool:
    """Whether a column has something else than numbers and dashes."""
    return not all(re.match(r'[0-9–-]|$', cell) for cell in cells)


def _metric(records: Sequence[dict[str, Any]]) -> str:
    """The score that chose the prompts of all complete runs, or ROUGE-L."""
    metrics = {
        row.get(SELECTION, 'rouge_l')
        for row in records
        if row['status'] == COMPLETE
    }
    return metrics.pop() if len(metrics) == 1 else 'rouge_l'


def _show(x: Interval) -> str:
    """The mean ± half as text; a dash where there is none."""
    if math.isnan(x.mean):
        return '–'
    return f'{x.mean:.2f}' + ('' if math.isnan(x.half) else f' ± {x.half:.2f}')
