"""Global against local scores of many runs, in panels, as Profit draws them."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
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
# Baselines that nobody trains: label in tradeoff.csv -> name, marker.
ANCHORS = {
    'bare': ('no prompt', 'X'),
    'few-shot': ('few-shot', 'P'),
    'copy': ('copy', '1'),
    'majority': ('majority', '2'),
}
DECILES = {10: ('10th percentile', ':'), 90: ('90th percentile', '-')}


def _never(overrides: Overrides) -> bool:
    del overrides
    return False


def draw(
    results: Sequence[Result],
    panel: Callable[[Overrides], str],
    line: Callable[[Overrides], str],
    averaged: Flag = _never,
    with_genie: Flag = _never,
    anchors: Mapping[str, tuple[str, str]] = MappingProxyType({}),
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
      anchors: baselines that are drawn as points, see ANCHORS.
    """

    def paint(axes, group, name, number, metric):
        _paint(axes, group, name, number, metric, averaged, with_genie)

    return _panels(results, panel, line, paint, anchors)


def draw_percentiles(
    results: Sequence[Result],
    panel: Callable[[Overrides], str],
    line: Callable[[Overrides], str],
) -> 'Figure | None':
    """As `draw`, with the 10th and 90th percentiles over clients.

    Those of local and of global scores each: a point is no client.
    """
    return _panels(results, panel, line, _paint_percentiles, {})


def _panels(
    results: Sequence[Result],
    panel: Callable[[Overrides], str],
    line: Callable[[Overrides], str],
    paint: Callable[..., None],
    anchors: Mapping[str, tuple[str, str]],
) -> 'Figure | None':
    """The panels; paint(axes, results, name, number, metric) makes a line."""
    complete = [r.run for r in results if r.run is not None]
    if not complete:
        return None
    metric = leading_metric(complete)
    titles = list(dict.fromkeys(panel(r.overrides) for r in results))
    names = list(dict.fromkeys(line(r.overrides) for r in results))
    figure = canvas.blank(4.6 * len(titles) + 0.8, 5)
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        inside = [r for r in results if panel(r.overrides) == title]
        for number, name in enumerate(names):
            group = [r for r in inside if line(r.overrides) == name]
            if group:
                paint(axes, group, name, number, metric)
        for label, (name, marker) in anchors.items():
            _paint_anchor(axes, inside, label, name, marker, metric)
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
    done, rows, label = _pooled(group, name)
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


def _pooled(
    group: Sequence[Result], name: str
) -> tuple[list[Result], list[Row], str]:
    """The complete runs of a line, their rows, and the name with the gaps."""
    done = [r for r in group if r.run is not None]
    rows = [row for r in done for row in _told_apart(r)]
    missing = len(group) - len(done)
    return (
        done,
        rows,
        name + (f' ({len(done)} of {len(group)} runs)' if missing else ''),
    )


def _paint_percentiles(
    axes: 'Axes',
    group: Sequence[Result],
    name: str,
    number: int,
    metric: str,
) -> None:
    """The two lines of a group of runs."""
    color, marker = canvas.style_of(number)
    _, rows, label = _pooled(group, name)
    epochs = points.by_epoch(rows, metric)
    if not epochs:
        axes.plot([], [], color=color, label=f'{name}: no result')
        return
    for share, (words, dashes) in DECILES.items():
        path = np.array(
            [
                np.percentile(list(clients.values()), share, axis=0)
                for clients in epochs.values()
            ]
        )
        axes.plot(
            *path.T,
            dashes,
            color=color,
            marker=marker,
            markersize=4,
            label=f'{label}, {words}',
        )
        if 0 in epochs:
            axes.plot(*path[0], 'D', color=color, markersize=7)


def _paint_anchor(
    axes: 'Axes',
    group: Sequence[Result],
    label: str,
    name: str,
    marker: str,
    metric: str,
) -> None:
    """A baseline, over the clients of every seed that has scored it once."""
    by_seed: dict[int, points.Points] = {}
    for result in group:
        if result.run is not None:
            clients = points.points(_told_apart(result), label, metric)
            if clients:
                seed = next(iter(clients))[1]
                by_seed.setdefault(seed, clients)
    pooled = {k: v for clients in by_seed.values() for k, v in clients.items()}
    if pooled:
        spot = points.spot(pooled)
        axes.plot(
            spot.x,
            spot.y,
            marker,
            color=canvas.GREY,
            markersize=8,
            label=name,
        )


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
