"""Norms by round, as in Profit's figure 3 (right, arXiv 2310.04627)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report import canvas, rounds
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    'Frobenius norms by round: the global prompt, the mean client gradient, '
    'and what the server changes in a round.'
)
_NORMS = {  # key in metrics.jsonl -> label, colour, dashes
    'prompt_norm': ('‖P‖ of the global prompt', canvas.BLUE, '-'),
    'client_grad_norm': ('‖g‖, mean over clients', canvas.VERMILLION, '--'),
    'update_norm': ('‖ΔP‖ of a round', canvas.GREEN, '-.'),
}


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """A line a norm, of one run."""
    if len(runs) != 1:
        return None
    figure = canvas.blank(6.4, 4.4)
    ax = figure.subplots()
    if not paint(ax, runs[0]):
        return None
    ax.set_title('Norms during federated training')
    ax.set_ylabel('Frobenius norm (log scale)')
    figure.legend(loc='outside lower center', ncols=3)
    return figure


def paint(ax: 'Axes', run: Run) -> bool:
    """Draws a run's norms; False, and nothing, where it has none."""
    train = run.stage('train')
    series = {key: rounds.series(train, key) for key in _NORMS}
    if not any((y > 0).any() for _, y in series.values()):
        return False
    for key, (x, y) in series.items():
        label, color, dashes = _NORMS[key]
        y = np.where(y > 0, y, np.nan)  # a log axis has no zero
        ax.plot(x, y, dashes, color=color, label=label, **rounds.dots(x))
    ax.set_yscale('log')
    rounds.label(ax)
    return True
