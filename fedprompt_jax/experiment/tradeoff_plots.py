"""Global against local scores: the mean over clients, and every client.

Local scores lie on the horizontal axis, as in Profit (arXiv 2310.04627), where
more weight on the personalized prompt moves a point to the right.
"""

from collections.abc import Sequence
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.experiment import canvas, records
from fedprompt_jax.experiment.records import PROMPTS, Row
from fedprompt_jax.experiment.summary import last_epoch, mean_of

_MARKERS = {  # prompt -> marker, colour
    'bare': ('X', canvas.GREY),
    'initial': ('s', canvas.ORANGE),
    'global': ('D', canvas.BLUE),
    'personalized': ('o', canvas.VERMILLION),
}
_LOCAL = "local ROUGE-L (x100): each client's own examples"
_GLOBAL = 'global ROUGE-L (x100): one set for all clients'
_QUANTILES = {90: '--', 50: '-', 10: ':'}

Points = dict[Any, tuple[float, float]]  # client -> (local, global) ROUGE-L


class Spot(NamedTuple):
    """Means over clients, local (x) and global (y), with standard errors."""

    x: float
    y: float
    x_se: float
    y_se: float


def tradeoff(folder: str | Path) -> Path | None:
    """figures/tradeoff.png: means over clients, as in Profit's figures 3 to 5.

    From the global prompt over the epochs of personalization, with standard
    errors; clients faintly behind; the anchors; the averaged prompts.
    """
    rows = _rows(folder)
    epochs = _epochs(rows)
    if not epochs:
        return None
    path = {e: _spot(points) for e, points in epochs.items()}
    anchors = {p: _spot(_points(rows, p)) for p in ('bare', 'initial')}
    anchors |= {'global': path.get(0), 'personalized': None}
    if last_epoch(rows):
        anchors['personalized'] = path[last_epoch(rows)]
    mixes = _mixes(rows)

    def paint(figure):
        ax = figure.subplots()
        _paint_clients(ax, list(epochs.values()))
        _paint_path(ax, path)
        _paint_mixes(ax, [anchors['global'], anchors['personalized']], mixes)
        _paint_anchors(ax, anchors, last_epoch(rows))
        spots = [*path.values(), *anchors.values(), *mixes.values()]
        _zoom(ax, [s for s in spots if s])
        inner = {e: s for e, s in path.items() if 0 < e < last_epoch(rows)}
        _label(ax, {f'{e}': s for e, s in inner.items()}, (5, 5))
        _label(ax, {f'α={a:g}': s for a, s in mixes.items()}, (6, -11))
        ax.set(xlabel=_LOCAL, ylabel=_GLOBAL)
        ax.set_title(f'Personalization and robustness, {_count(epochs)}')
        figure.legend(loc='outside lower center', ncols=2)

    return canvas.draw(folder, 'tradeoff', (6.4, 6.4), paint)


def clients(folder: str | Path) -> Path | None:
    """figures/clients.png: every client, and percentiles over clients.

    Profit's figures 17 (before and after) and 18 (by epoch).
    """
    rows = _rows(folder)
    epochs = _epochs(rows)
    last = last_epoch(rows)
    if 0 not in epochs or last not in epochs or last == 0:
        return None

    def paint(figure):
        left, right = figure.subplots(1, 2)
        _paint_arrows(left, epochs[0], epochs[last], last)
        _paint_quantiles(right, epochs)
        for ax in (left, right):
            ax.set(xlabel=_LOCAL, ylabel=_GLOBAL)
            ax.margins(0.08)
        left.set_title(f'Before and after, {_count(epochs)}')
        right.set_title('Percentiles over clients, by epoch')

    return canvas.draw(folder, 'clients', (11, 5), paint)


def _rows(folder: str | Path) -> list[Row]:
    exists = (Path(folder) / records.TRADEOFF).is_file()
    return records.read_tradeoff(folder) if exists else []


def _points(rows: Sequence[Row], prompt: str, **fixed: Any) -> Points:
    """Both scores of each client that has both; a dropped one is left out."""
    fixed['prompt'] = prompt
    scores: dict[Any, dict[str, float]] = {}
    for r in rows:
        if all(r[k] == v for k, v in fixed.items()):
            client = (r['run'], r['seed'], r['client'])
            scores.setdefault(client, {})[r['split']] = r['rouge_l']
    pairs = {
        c: (s.get('local', math.nan), s.get('global', math.nan))
        for c, s in scores.items()
    }
    return {c: xy for c, xy in pairs.items() if np.isfinite(xy).all()}


def _epochs(rows: Sequence[Row]) -> dict[int, Points]:
    """Scores after each scored epoch; epoch 0 is the global prompt."""
    scored = {r['epoch'] for r in rows if r['prompt'] == 'personalized'}
    found = {0: _points(rows, 'global')}
    for epoch in sorted(scored - {0}):
        found[epoch] = _points(rows, 'personalized', epoch=epoch)
    return {e: points for e, points in found.items() if points}


def _mixes(rows: Sequence[Row]) -> dict[float, Spot]:
    alphas = sorted({r['alpha'] for r in rows if r['prompt'] == 'averaged'})
    found = {
        a: _spot(_points(rows, 'averaged', alpha=a, epoch=last_epoch(rows)))
        for a in alphas
    }
    return {a: s for a, s in found.items() if s}


def _spot(points: Points) -> Spot | None:
    if not points:
        return None
    x, y = (mean_of(v) for v in zip(*points.values(), strict=True))
    return Spot(x.mean, y.mean, x.se, y.se)


def _paint_clients(ax, epochs: list[Points]) -> None:
    label = 'each client (beyond the frame: clients.png)'
    for client in epochs[0]:
        xy = np.array([points[client] for points in epochs if client in points])
        faint = {'color': canvas.GREY, 'lw': 0.8, 'alpha': 0.3}
        ax.plot(*xy.T, label=label, zorder=1, **faint)
        label = None


def _paint_path(ax, path: dict[int, Spot]) -> None:
    x, y, x_se, y_se = np.array(list(path.values())).T
    ax.errorbar(
        x,
        y,
        np.nan_to_num(y_se),
        np.nan_to_num(x_se),
        color=canvas.VERMILLION,
        ecolor=canvas.VERMILLION + '66',
        elinewidth=1,
        marker='.',
        label='mean by epoch, ± standard error',
        zorder=3,
    )


def _paint_mixes(ax, ends: list[Spot | None], mixes: dict[float, Spot]) -> None:
    if not mixes:
        return
    curve = [s for s in (ends[0], *mixes.values(), ends[1]) if s]
    line = {'color': canvas.GREEN, 'lw': 1.5, 'zorder': 2}
    ax.plot([s.x for s in curve], [s.y for s in curve], '--', **line)
    ax.plot(
        [s.x for s in mixes.values()],
        [s.y for s in mixes.values()],
        '--',
        marker='^',
        label='averaged: α personalized + (1-α) global',
        **line,
    )


def _paint_anchors(ax, anchors: dict[str, Spot | None], last: int) -> None:
    for prompt, spot in anchors.items():
        if spot:
            marker, color = _MARKERS[prompt]
            after = f' (epoch {last})' if prompt == 'personalized' else ''
            ax.scatter(
                spot.x,
                spot.y,
                s=90,
                marker=marker,
                color=color,
                edgecolor='white',
                linewidth=0.8,
                label=PROMPTS[prompt] + after,
                zorder=4,
            )


def _paint_arrows(ax, before: Points, after: Points, last: int) -> None:
    arrow = {'arrowstyle': '-|>', 'color': canvas.GREY, 'alpha': 0.5, 'lw': 0.9}
    both = [c for c in before if c in after]
    for c in both:
        ax.annotate('', after[c], before[c], arrowprops=arrow)
    labels = {'global': 'global prompt', 'personalized': f'epoch {last}'}
    for (prompt, label), points in zip(
        labels.items(), (before, after), strict=True
    ):
        marker, color = _MARKERS[prompt]
        xy = np.array([points[c] for c in both])
        ax.scatter(*xy.T, s=26, marker=marker, color=color, label=label)
    ax.legend()


def _paint_quantiles(ax, epochs: dict[int, Points]) -> None:
    marker, color = _MARKERS['global']
    for q, dashes in _QUANTILES.items():
        xy = np.array(
            [
                np.percentile(list(p.values()), q, axis=0)
                for p in epochs.values()
            ]
        )
        style = {'color': canvas.VERMILLION, 'marker': '.'}
        ax.plot(*xy.T, dashes, label=f'{q}th percentile', **style)
        start = 'global prompt' if q == 10 else None
        ax.scatter(
            *xy[0], s=40, marker=marker, color=color, label=start, zorder=3
        )
    ax.legend()


def _zoom(ax, spots: list[Spot]) -> None:
    """Frames the means: single clients spread far wider."""
    for limit, axis, se in ((ax.set_xlim, 0, 2), (ax.set_ylim, 1, 3)):
        centre = np.array([s[axis] for s in spots])
        error = np.nan_to_num([s[se] for s in spots])
        low, high = (centre - error).min(), (centre + error).max()
        room = max(0.08 * (high - low), 0.5)
        limit(low - room, high + room)


def _label(ax, spots: dict[str, Spot], offset: tuple[float, float]) -> None:
    """Writes beside the points, skipping those too near to the last label."""
    last = np.array([np.inf, np.inf])
    for text, spot in spots.items():
        here = ax.transAxes.inverted().transform(
            ax.transData.transform((spot.x, spot.y))
        )
        if np.abs(here - last).max() < 0.06:
            continue
        ax.annotate(
            text,
            (spot.x, spot.y),
            offset,
            textcoords='offset points',
            fontsize=8,
            zorder=5,
        )
        last = here


def _count(epochs: dict[int, Points]) -> str:
    everyone = set().union(*epochs.values())
    lost = len(everyone) - min(len(points) for points in epochs.values())
    word = 'client' if len(everyone) == 1 else 'clients'
    return f'{len(everyone)} {word}' + (f', {lost} dropped' if lost else '')
