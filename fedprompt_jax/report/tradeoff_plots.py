"""Global against local scores during personalization, means over clients.

Profit's figures 3 (left, centre), 4 and 5 (arXiv 2310.04627).
"""

from pathlib import Path

import numpy as np

from fedprompt_jax.report import canvas, points, records
from fedprompt_jax.report.points import Points, Spot
from fedprompt_jax.report.records import PROMPTS, Row
from fedprompt_jax.report.summary import last_epoch

_MARKERS = {  # prompt -> marker, colour
    'bare': ('X', canvas.GREY),
    'initial': ('s', canvas.ORANGE),
    'global': ('D', canvas.BLUE),
    'personalized': ('o', canvas.VERMILLION),
}


def tradeoff(folder: str | Path) -> Path | None:
    """figures/tradeoff.png: from the global prompt to the last epoch.

    Left, everything: the anchors, and each client faintly. Right, the means
    alone: epochs and averaged prompts with standard errors over clients.
    """
    rows, metric = points.read(folder), records.selection(folder)
    epochs = points.by_epoch(rows, metric)
    if not epochs:
        return None
    path = {e: points.spot(p) for e, p in epochs.items()}
    averaged = points.by_alpha(rows, metric)
    mixes = {a: points.spot(p) for a, p in averaged.items()}
    anchors = _anchors(rows, path, metric)

    def paint(figure):
        left, right = figure.subplots(1, 2)
        _paint_anchors(left, anchors, max(path))
        _paint_clients(left, list(epochs.values()))
        for ax in (left, right):
            _paint_path(ax, path)
            _paint_mixes(ax, mixes, anchors)
            ax.set(**points.axes(metric))
        shown = {k: v for k, v in anchors.items() if v in path.values()}
        _paint_anchors(right, shown, max(path))
        _label_path(right, path, mixes)
        left.set_title(
            f'Personalization and robustness, {points.count(epochs)}'
        )
        right.set_title('Means alone, epochs numbered')
        left.margins(0.06)
        figure.legend(
            *left.get_legend_handles_labels(),
            loc='outside lower center',
            ncols=3,
        )

    return canvas.draw(folder, 'tradeoff', (11, 5.8), paint)


def _anchors(
    rows: list[Row], path: dict[int, Spot], metric: str
) -> dict[str, Spot]:
    found = {p: points.points(rows, p, metric) for p in ('bare', 'initial')}
    anchors = {p: points.spot(x) for p, x in found.items() if x}
    if 0 in path:
        anchors['global'] = path[0]
    last = last_epoch(rows)
    if last in path and last > 0:
        anchors['personalized'] = path[last]
    return anchors


def _paint_anchors(ax, anchors: dict[str, Spot], last: int) -> None:
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


def _paint_clients(ax, epochs: list[Points]) -> None:
    everyone = dict.fromkeys(c for clients in epochs for c in clients)
    alpha = 0.4 if len(everyone) <= 64 else 0.12
    label: str | None = 'each client'
    for c in everyone:
        xy = np.array([clients[c] for clients in epochs if c in clients])
        faint = {'color': canvas.GREY, 'lw': 0.8, 'alpha': alpha, 'zorder': 1}
        ax.plot(*xy.T, label=label, **faint)
        label = None  # one line in the legend stands for all


def _paint_path(ax, path: dict[int, Spot]) -> None:
    x, y, x_se, y_se = np.array(list(path.values())).T
    ax.errorbar(
        x,
        y,
        y_se,  # NaN, of one client, draws no bar
        x_se,
        color=canvas.VERMILLION,
        ecolor=canvas.VERMILLION + '59',
        elinewidth=1,
        marker='.',
        label='mean by epoch, ± standard error',
        zorder=3,
    )


def _paint_mixes(
    ax, mixes: dict[float, Spot], anchors: dict[str, Spot]
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


def _label_path(ax, path: dict[int, Spot], mixes: dict[float, Spot]) -> None:
    inner = {f'{e}': s for e, s in path.items() if 0 < e < max(path)}
    _label(ax, inner, (-5, -10), 'right', canvas.VERMILLION)
    alphas = {f'α={a:g}': s for a, s in mixes.items()}
    _label(ax, alphas, (6, 4), 'left', canvas.GREEN)


def _label(ax, spots: dict[str, Spot], offset, side: str, color: str) -> None:
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
