"""Global against local scores of many runs, in panels, as Profit draws them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fedprompt_jax.report import canvas, genie, points
from fedprompt_jax.report.points import Spot
from fedprompt_jax.report.records import Row
from fedprompt_jax.report.run import leading_metric
from fedprompt_jax.study.outputs import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Overrides = dict[str, Any]
Flag = Callable[[Overrides], bool]


def _never(overrides: Overrides) -> bool:
    del overrides
    return False


def draw(
    results: Sequence[Result],
    panel: Callable[[Overrides], str],
    line: Callable[[Overrides], str],
    averaged: Flag = _never,
    with_genie: Flag = _never,
) -> 'Figure | None':
    """A panel for each group of runs, a line for each kind of run in it.

    A line leads from the global prompt (a diamond) through the epochs of
    personalization: means over the clients of all its runs, with standard
    errors. A run without a result is missing, and its line's name says so.

    Args:
      results: the runs; None is drawn if none of them is complete.
      panel: overrides of a run -> title of its panel.
      line: overrides of a run -> name of its line; runs of one name are pooled.
      averaged: whether the averaged prompts of a run are drawn, too.
      with_genie: whether its genie is.
    """
    complete = [r.run for r in results if r.run is not None]
    if not complete:
        return None
    metric = leading_metric(complete)
    titles = list(dict.fromkeys(panel(r.overrides) for r in results))
    names = list(dict.fromkeys(line(r.overrides) for r in results))
    figure = canvas.blank(4.6 * len(titles) + 0.8, 5)
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        for number, name in enumerate(names):
            group = [
                r
                for r in results
                if (panel(r.overrides), line(r.overrides)) == (title, name)
            ]
            if group:
                _paint(axes, group, name, number, metric, averaged, with_genie)
        axes.set(title=title, **points.axes(metric))
        axes.legend(loc='best', fontsize=8)
    return figure


def _paint(
    axes: 'Axes',
    group: Sequence[Result],
    name: str,
    number: int,
    metric: str,
    averaged: Flag,
    with_genie: Flag,
) -> None:
    """One line of a panel, with its averages and its genie."""
    color, marker = canvas.style_of(number)
    done = [r for r in group if r.run is not None]
    rows = [row for r in done for row in _told_apart(r)]
    missing = len(group) - len(done)
    label = name + (f' ({len(done)} of {len(group)} runs)' if missing else '')
    path = {
        epoch: points.spot(clients)
        for epoch, clients in points.by_epoch(rows, metric).items()
    }
    if not path:
        axes.plot([], [], color=color, label=f'{name}: no result')
        return
    _errors(axes, list(path.values()), color, marker, '-', label)
    if 0 in path:
        axes.plot(path[0].x, path[0].y, 'D', color=color, markersize=7)
    if averaged(group[0].overrides):
        mixes = points.by_alpha(rows, metric)
        spots = [points.spot(clients) for clients in mixes.values()]
        ends = [path[epoch] for epoch in (min(path), max(path))]
        curve = [ends[0], *spots, ends[1]]
        axes.plot(
            [s.x for s in curve],
            [s.y for s in curve],
            '--^',
            color=color,
            markersize=4,
            label=f'{name}, averaged',
        )
    if with_genie(group[0].overrides):
        better = [row for r in done for row in _told_apart(r, True, metric)]
        clients = points.points(better, genie.LABEL, metric)
        if clients:
            spot = points.spot(clients)
            _errors(axes, [spot], color, '*', '', f'{name}, {genie.LABEL}')


def _told_apart(
    result: Result, of_genie: bool = False, metric: str = ''
) -> list[Row]:
    """The rows of a run under its own name: clients are keyed by it."""
    run = result.run
    assert run is not None
    rows = genie.rows(run.folder, run.rows, metric) if of_genie else run.rows
    return [row | {'run': result.name} for row in rows]


def _errors(
    axes: 'Axes',
    spots: Sequence[Spot],
    color: str,
    marker: str,
    style: str,
    label: str,
) -> None:
    x, y, x_se, y_se = np.array(spots).T
    axes.errorbar(
        x,
        y,
        y_se,  # NaN, of one client, draws no bar
        x_se,
        color=color,
        ecolor=color + '59',
        elinewidth=1,
        marker=marker,
        markersize=9 if marker == '*' else 4,
        linestyle=style or 'none',
        label=label,
    )
