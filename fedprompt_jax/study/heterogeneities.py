"""The trade-off of personalization against measures of heterogeneity."""

from collections.abc import Callable, Sequence
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fedprompt_jax.report import canvas, trajectory
from fedprompt_jax.report.figures import heterogeneity
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.report.summary import score_names
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.tradeoff.bootstrap import Interval, Statistic, intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = dict[str, Any]
SPLITS = ('local', 'global')


class Level(NamedTuple):
    """Runs of one partition, which differ in the seed alone.

    Attributes:
      name: of the partition.
      number: of the level among all, which decides its colour.
      gains: 'local' or 'global' -> what personalization changes, the score of
        the last epoch - that of the global prompt; None without a score.
      measures: name of a measure -> its value in each run, NaN for none.
    """

    name: str
    number: int
    gains: dict[str, Interval] | None
    measures: dict[str, list[float]]


def _above(part: Record) -> float:
    """A divergence above that of clients that were drawn from all."""
    return _number(part['mean']) - _number(part['shuffled'])


# Title -> heterogeneity.json -> a number.
MEASURES: dict[str, Callable[[Record], float]] = {
    'KL of types, above shuffled (nats)': lambda r: _above(r['kl']['type']),
    'KL of tasks, above shuffled (nats)': lambda r: _above(r['kl']['task']),
    'JS of words, above shuffled (nats)': lambda r: _above(r['vocabulary']),
    'dispersion of gradients, corrected': lambda r: _number(
        r['gradients']['corrected']
    ),
    'cosine of gradients': lambda r: _number(r['gradients']['cosine']),
    'dispersion of prompts': lambda r: _number(r['prompts']['dispersion']),
}


def levels(
    results: Sequence[Result], name: Callable[[dict[str, Any]], str]
) -> list[Level]:
    """The complete runs by partition, in the order of the results.

    Args:
      results: the runs.
      name: overrides of a run -> name of its level.
    """
    groups: dict[str, list[Run]] = {}
    for result in results:
        runs = groups.setdefault(name(result.overrides), [])
        if result.run is not None:
            runs.append(result.run)
    found = []
    for number, (label, runs) in enumerate(groups.items()):
        records = [heterogeneity.read(run) for run in runs]
        measures = {
            title: [value(r) for r in records if r is not None]
            for title, value in MEASURES.items()
        }
        if runs:
            found.append(Level(label, number, gains(runs), measures))
    return found


def gains(runs: Sequence[Run]) -> dict[str, Interval] | None:
    """What personalization changes, with 95 % bootstrap intervals.

    They are over seeds and over clients within them, paired by client.

    Args:
      runs: of one level.

    Returns:
      None where no client personalized.
    """
    found = trajectory.of_runs(runs, leading_metric(runs))
    if found is None:
        return None
    start, *_, end = found.path
    return intervals(
        dict(zip(SPLITS, map(_change, range(len(SPLITS))), strict=True)),
        found.scores[:, [start, end]],
        found.seeds,
    )


def _change(place: int) -> Statistic:
    """The last of two prompts - the first, of one score of points [B, 2, 2]."""
    return lambda points: points[:, 1, place] - points[:, 0, place]


def draw(
    results: Sequence[Result], name: Callable[[dict[str, Any]], str]
) -> 'Figure | None':
    """Two rows of panels, local gain and global change; a column a measure."""
    found = [level for level in levels(results, name) if level.gains]
    if not found:
        return None
    runs = [r.run for r in results if r.run is not None]
    metric = leading_metric(runs)
    score = score_names(metric)[metric]
    figure = canvas.blank(3.4 * len(MEASURES), 7.2)
    panels = figure.subplots(
        2, len(MEASURES), sharex='col', sharey='row', squeeze=False
    )
    for row, split in zip(panels, SPLITS, strict=True):
        row[0].set_ylabel(f'{split} {score}, personalized - global')
        for axes, title in zip(row, MEASURES, strict=True):
            for level in found:
                _paint(axes, level, split, title)
            axes.axhline(0, color=canvas.GREY, linewidth=1)
    for axes, title in zip(panels[1], MEASURES, strict=True):
        axes.set_xlabel(title)
    handles, labels = panels[0][0].get_legend_handles_labels()
    of = dict(zip(labels, handles, strict=True))
    names = [level.name for level in found]
    figure.legend(
        [of[name] for name in names],
        names,
        loc='outside lower center',
        ncols=len(found),
    )
    return figure


def _paint(axes: 'Axes', level: Level, split: str, title: str) -> None:
    """A point: mean over seeds, bars to the least and the greatest of them."""
    assert level.gains is not None
    gain, values = level.gains[split], np.array(level.measures[title])
    values = values[np.isfinite(values)]
    color, marker = canvas.style_of(level.number)
    if not len(values):
        axes.plot([], [], color=color, marker=marker, label=level.name)
        return
    mean = values.mean()
    # No bar where an end is NaN, as for a single client: max leaves that out.
    below = max(0.0, gain.estimate - gain.low)
    above = max(0.0, gain.high - gain.estimate)
    axes.errorbar(
        mean,
        gain.estimate,
        xerr=[[mean - values.min()], [values.max() - mean]],
        yerr=[[below], [above]],
        color=color,
        marker=marker,
        label=level.name,
    )


def table(
    results: Sequence[Result], name: Callable[[dict[str, Any]], str]
) -> list[list[str]]:
    """A header, and a line a level: measures, then gains with intervals."""
    titles = [*MEASURES, *(f'{split} change' for split in SPLITS)]
    lines = [['level', 'runs', *titles]]
    for level in levels(results, name):
        means = [_mean(values) for values in level.measures.values()]
        runs = max(map(len, level.measures.values()))
        lines.append(
            [
                level.name,
                f'{runs}',
                *means,
                *(_interval(level.gains, split) for split in SPLITS),
            ]
        )
    return lines


def _mean(values: Sequence[float]) -> str:
    kept = [value for value in values if math.isfinite(value)]
    return f'{np.mean(kept):.3g}' if kept else '–'


def _interval(gains: dict[str, Interval] | None, split: str) -> str:
    if gains is None or math.isnan(gains[split].estimate):
        return '–'
    gain = gains[split]
    span = '' if math.isnan(gain.low) else f' [{gain.low:.2f}, {gain.high:.2f}]'
    return f'{gain.estimate:+.2f}{span}'


def _number(value: float | None) -> float:
    """A number of a JSON file, in which NaN is null."""
    return math.nan if value is None else value
