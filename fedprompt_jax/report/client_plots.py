"""Every client before and after personalization, and their percentiles.

Profit's figures 17 and 18 (arXiv 2310.04627).
"""

from pathlib import Path

import numpy as np

from fedprompt_jax.report import canvas, records
from fedprompt_jax.report import points as points_lib
from fedprompt_jax.report.points import Points

_QUANTILES = {90: ('90th', '--'), 50: ('50th', '-'), 10: ('10th', ':')}


def clients(folder: str | Path) -> Path | None:
    """figures/clients.png: an arrow a client, and percentiles by epoch.

    The arrow goes from the global prompt's scores to those of the client's
    own prompt after the last epoch.
    """
    metric = records.selection(folder)
    epochs = points_lib.by_epoch(points_lib.read(folder), metric)
    last = max(epochs, default=0)
    if 0 not in epochs or last == 0:
        return None

    def paint(figure):
        left, right = figure.subplots(1, 2)
        _paint_arrows(left, epochs[0], epochs[last], last)
        _paint_quantiles(right, epochs)
        left.set_title(f'Before and after, {points_lib.count(epochs)}')
        right.set_title('Percentiles over clients, by epoch')
        for ax in (left, right):
            ax.set(**points_lib.axes(metric))
            ax.margins(0.08)

    return canvas.draw(folder, 'clients', (11, 5), paint)


def _paint_arrows(ax, before: Points, after: Points, last: int) -> None:
    both = [c for c in before if c in after]
    # Many clients are a cloud: each is drawn lighter and smaller.
    alpha, size = (0.6, 26) if len(both) <= 64 else (0.2, 8)
    arrow = {'arrowstyle': '-|>', 'color': canvas.GREY, 'alpha': alpha}
    for c in both:
        ax.annotate('', after[c], before[c], arrowprops=arrow)
    ends = {
        'global prompt': (before, 'D', canvas.BLUE),
        f'own prompt, epoch {last}': (after, 'o', canvas.VERMILLION),
    }
    for label, (points, marker, color) in ends.items():
        xy = np.array([points[c] for c in both]).reshape(-1, 2)
        ax.scatter(*xy.T, s=size, marker=marker, color=color, label=label)
    ax.legend()


def _paint_quantiles(ax, epochs: dict[int, Points]) -> None:
    for q, (name, dashes) in _QUANTILES.items():
        xy = np.array(
            [
                np.percentile(list(points.values()), q, axis=0)
                for points in epochs.values()
            ]
        )
        style = {'color': canvas.VERMILLION, 'marker': '.'}
        ax.plot(*xy.T, dashes, label=f'{name} percentile', **style)
        label = 'global prompt' if q == 10 else None
        start = {'marker': 'D', 'color': canvas.BLUE, 's': 40, 'zorder': 3}
        ax.scatter(*xy[0], label=label, **start)
    ax.legend()
