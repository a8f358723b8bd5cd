"""Global against local scores during personalization, means over clients.

Profit's figures 3 (left, centre), 4 and 5 (arXiv 2310.04627).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report import canvas, points, summary
from fedprompt_jax.report.points import Points, Spot
from fedprompt_jax.report.records import PROMPTS, Row
from fedprompt_jax.report.run import Run, leading_metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    'Global against local {score} while each client trains the global prompt '
    'on its own examples. Left: the anchors, and every client. Right: means '
    'over clients with standard errors, epochs numbered; α weighs the '
    'personalized prompt against the global one.'
)
CAPTION_OF_SEVERAL = (
    'Global against local {score} while the clients of each run train its '
    'global prompt on their own examples: means over clients by epoch, with '
    'standard errors.'
)
_MARKERS = {  # prompt -> marker, colour
    'bare': ('X', canvas.GREY),
    'initial': ('s', canvas.ORANGE),
    'global': ('D', canvas.BLUE),
    'personalized': ('o', canvas.VERMILLION),
}
# Of prompts with other labels, in the order of the table. None is above.
_OTHER_MARKERS = ('P', 'v', '*', 'p', 'h', '<', '>')
_OTHER_COLORS = (canvas.PURPLE, canvas.SKY, canvas.INK)


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """Draws local against global scores, epoch by epoch.

    Of one run: left, everything, the anchors, and each client faintly; right,
    the means alone, epochs and averaged prompts with standard errors over
    clients. Of several, the means of each.
    """
    metric = leading_metric(runs)
    epochs = {run: points.by_epoch(run.rows, metric) for run in runs}
    epochs = {run: by_epoch for run, by_epoch in epochs.items() if by_epoch}
    if not epochs:
        return None
    if len(runs) > 1:
        return _draw_several(runs, epochs, metric)
    ((run, by_epoch),) = epochs.items()
    return _draw_one(run.rows, by_epoch, metric)


def _draw_one(
    rows: list[Row], epochs: dict[int, Points], metric: str
) -> 'Figure':
    path = _path(epochs)
    averaged = points.by_alpha(rows, metric)
    mixes = {a: points.spot(p) for a, p in averaged.items()}
    anchors = _anchors(rows, path, metric)
    shared, trained = _others(rows, metric)
    figure = canvas.blank(11, 5.8)
    left, right = figure.subplots(1, 2)
    _paint_anchors(left, anchors, max(path))
    _paint_others(left, shared, first=len(trained))
    _paint_clients(left, list(epochs.values()))
    for ax in (left, right):
        _paint_path(ax, path)
        _paint_mixes(ax, mixes, anchors)
        _paint_others(ax, trained)
        ax.set(**points.axes(metric))
    shown = {k: v for k, v in anchors.items() if v in path.values()}
    _paint_anchors(right, shown, max(path))
    _label_path(right, path, mixes)
    left.set_title(f'Personalization and robustness, {points.count(epochs)}')
    right.set_title('Means alone, epochs numbered')
    left.margins(0.06)
    figure.legend(
        *left.get_legend_handles_labels(),
        loc='outside lower center',
        ncols=3,
    )
    return figure


def _draw_several(
    runs: Sequence[Run], drawn: dict[Run, dict[int, Points]], metric: str
) -> 'Figure':
    """The means of runs with scores; a run's place among all is its style."""
    figure = canvas.blank(7.5, 6)
    ax = figure.subplots()
    label: str | None = PROMPTS['global'] + ' of each run'
    for run, epochs in drawn.items():
        color, marker = canvas.style_of(runs.index(run))
        path = _path(epochs)
        name = f'{run.name}, {points.count(epochs)}'
        _paint_path(ax, path, color, marker, name)
        if 0 in path:
            symbol, _ = _MARKERS['global']
            ax.scatter(
                path[0].x,
                path[0].y,
                s=90,
                marker=symbol,
                facecolor='white',
                edgecolor=color,
                linewidth=1.5,
                label=label,
                zorder=4,
            )
            label = None  # one symbol in the legend stands for all
    ax.set(**points.axes(metric))
    ax.set_title('Personalization and robustness: means by epoch')
    figure.legend(loc='outside lower center', ncols=2)
    return figure


def _path(epochs: dict[int, Points]) -> dict[int, Spot]:
    return {epoch: points.spot(clients) for epoch, clients in epochs.items()}


def _others(
    rows: list[Row], metric: str
) -> tuple[dict[str, Spot], dict[str, Spot]]:
    """The prompts that are not among PROMPTS, by their names.

    Returns:
      Those that all clients share, and those that each client has for itself.
    """
    shared: dict[str, Spot] = {}
    trained: dict[str, Spot] = {}
    for (prompt, alpha), last in summary.final(rows).items():
        clients = points.points(last, prompt, metric)
        if prompt not in PROMPTS and clients:
            place = shared if summary.is_shared(prompt, last) else trained
            place[summary.label(prompt, alpha)] = points.spot(clients)
    return shared, trained


def _anchors(
    rows: list[Row], path: dict[int, Spot], metric: str
) -> dict[str, Spot]:
    shared = {p: points.points(rows, p, metric) for p in ('bare', 'initial')}
    anchors = {p: points.spot(x) for p, x in shared.items() if x}
    if 0 in path:
        anchors['global'] = path[0]
    last = summary.last_epoch(rows)
    if last in path and last > 0:
        anchors['personalized'] = path[last]
    return anchors


def _paint_anchors(ax: 'Axes', anchors: dict[str, Spot], last: int) -> None:
    for prompt, spot in anchors.items():
        marker, color = _MARKERS[prompt]
        after = f', epoch {last}' if prompt == 'personalized' else ''
        ax.scatter(
            spot.x,
            spot.y,
            s=220 if prompt == 'bare' else 90,  # seen behind another
            marker=marker,
            color=color,
            edgecolor='white',
            linewidth=0.8,
            label=PROMPTS[prompt] + after,
            zorder=4,
        )


def _paint_clients(ax: 'Axes', epochs: list[Points]) -> None:
    everyone = dict.fromkeys(c for clients in epochs for c in clients)
    alpha = 0.4 if len(everyone) <= 64 else 0.12
    label: str | None = 'each client'
    for c in everyone:
        xy = np.array([clients[c] for clients in epochs if c in clients])
        faint: canvas.Style = {
            'color': canvas.GREY,
            'lw': 0.8,
            'alpha': alpha,
            'zorder': 1,
        }
        ax.plot(*xy.T, label=label, **faint)
        label = None  # one line in the legend stands for all


def _paint_path(
    ax: 'Axes',
    path: dict[int, Spot],
    color: str = canvas.VERMILLION,
    marker: str = '.',
    label: str = 'mean by epoch, ± standard error',
) -> None:
    x, y, x_se, y_se = np.array(list(path.values())).T
    ax.errorbar(
        x,
        y,
        y_se,  # NaN, of one client, draws no bar
        x_se,
        color=color,
        ecolor=color + '59',
        elinewidth=1,
        marker=marker,
        label=label,
        zorder=3,
    )


def _paint_mixes(
    ax: 'Axes', mixes: dict[float, Spot], anchors: dict[str, Spot]
) -> None:
    if not mixes:
        return
    ends = [anchors.get('global'), anchors.get('personalized')]
    curve = [s for s in (ends[0], *mixes.values(), ends[1]) if s]
    ax.plot(
        [s.x for s in curve],
        [s.y for s in curve],
        '--^',
        color=canvas.GREEN,
        lw=1.4,
        markersize=5,
        markevery=[s in mixes.values() for s in curve],
        label='averaged: α personalized + (1-α) global',
        zorder=2,
    )


def _paint_others(ax: 'Axes', others: dict[str, Spot], first: int = 0) -> None:
    """Paints prompts in the styles of the numbers from `first` on."""
    for number, (name, spot) in enumerate(others.items(), first):
        ax.errorbar(
            spot.x,
            spot.y,
            spot.y_se,
            spot.x_se,
            fmt=_OTHER_MARKERS[number % len(_OTHER_MARKERS)],
            color=_OTHER_COLORS[number % len(_OTHER_COLORS)],
            elinewidth=1,
            markersize=9,
            markeredgecolor='white',
            label=name,
            zorder=4,
        )


def _label_path(
    ax: 'Axes', path: dict[int, Spot], mixes: dict[float, Spot]
) -> None:
    inner = {f'{e}': s for e, s in path.items() if 0 < e < max(path)}
    _label(ax, inner, (-5, -10), 'right', canvas.VERMILLION)
    alphas = {f'α={a:g}': s for a, s in mixes.items()}
    _label(ax, alphas, (6, 4), 'left', canvas.GREEN)


def _label(
    ax: 'Axes',
    spots: dict[str, Spot],
    offset: tuple[float, float],
    side: str,
    color: str,
) -> None:
    """Writes beside the points, skipping those too near to the last label."""
    # Limits follow the data only when asked for.
    ax.autoscale_view()
    last = np.array([np.inf, np.inf])
    for text, spot in spots.items():
        place = ax.transData.transform((spot.x, spot.y))
        here = ax.transAxes.inverted().transform(place)
        if np.abs(here - last).max() < 0.06:
            continue
        ax.annotate(
            text,
            (spot.x, spot.y),
            offset,
            textcoords='offset points',
            ha=side,
            color=color,
            fontsize=8,
            zorder=5,
        )
        last = here
