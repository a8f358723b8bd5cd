"""Every client before and after personalization, and their percentiles.

Profit's figures 17 and 18 (arXiv 2310.04627).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report import canvas
from fedprompt_jax.report import points as points_lib
from fedprompt_jax.report.points import Points
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    'Left: each client under the global prompt and under its own after the '
    'last epoch. Right: percentiles of local and of global scores over '
    'clients, by epoch.'
)
_QUANTILES = {90: ('90th', '--'), 50: ('50th', '-'), 10: ('10th', ':')}


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """An arrow a client, and percentiles by epoch, of one run.

    The arrow goes from the global prompt's scores to those of the client's
    prompt after the last epoch.
    """
    if len(runs) != 1:
        return None
    metric = runs[0].selection
    epochs = points_lib.by_epoch(runs[0].rows, metric)
    last = max(epochs, default=0)
    if 0 not in epochs or last == 0:
        return None
    figure = canvas.blank(11, 5)
    left, right = figure.subplots(1, 2)
    paint_arrows(left, epochs[0], epochs[last], last)
    _paint_quantiles(right, epochs)
    left.set_title(f'Before and after, {points_lib.count(epochs)}')
    right.set_title('Percentiles over clients, by epoch')
    for ax in (left, right):
        ax.set(**points_lib.axes(metric))
        ax.margins(0.08)
    return figure


def paint_arrows(ax: 'Axes', before: Points, after: Points, last: int) -> None:
    """An arrow for each client, to its place after epoch `last`."""
    both = [c for c in before if c in after]
    # Many clients are a cloud: each is drawn lighter and smaller.
    alpha, size = (0.6, 26) if len(both) <= 64 else (0.2, 8)
    arrow: canvas.Style = {
        'arrowstyle': '-|>',
        'color': canvas.GREY,
        'alpha': alpha,
    }
    for c in both:
        ax.annotate('', after[c], before[c], arrowprops=arrow)
    ends = {
        'global prompt': (before, 'D', canvas.BLUE),
        f'own prompt, epoch {last}': (after, 'o', canvas.VERMILLION),
    }
    for label, (points, marker, color) in ends.items():
        x, y = np.array([points[c] for c in both]).reshape(-1, 2).T
        ax.scatter(x, y, s=size, marker=marker, color=color, label=label)
    ax.legend()


def _paint_quantiles(ax: 'Axes', epochs: dict[int, Points]) -> None:
    for q, (name, dashes) in _QUANTILES.items():
        xy = np.array(
            [
                np.percentile(list(points.values()), q, axis=0)
                for points in epochs.values()
            ]
        )
        style: canvas.Style = {'color': canvas.VERMILLION, 'marker': '.'}
        ax.plot(*xy.T, dashes, label=f'{name} percentile', **style)
        label = 'global prompt' if q == 10 else None
        start: canvas.Style = {
            'marker': 'D',
            'color': canvas.BLUE,
            's': 40,
            'zorder': 3,
        }
        ax.scatter(xy[0, 0], xy[0, 1], label=label, **start)
    ax.legend()
