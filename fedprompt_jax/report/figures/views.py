"""Both views of training clients by round (FedPepTAO, arXiv 2310.15080)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedprompt_jax.report import canvas, rounds, views
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    'Accuracy on the official test split by round: the global prompt on the '
    'whole split and, as a mean over clients with its standard error, on their '
    "parts; and each client's own prompt on its part."
)
_LINES = {  # key in metrics.jsonl -> label, colour, dashes
    'global_accuracy': ('global prompt, whole split', canvas.BLUE, '-'),
    'global_clients_accuracy': ('global prompt, parts', canvas.GREEN, '--'),
    'own_clients_accuracy': ('own prompts, parts', canvas.VERMILLION, '-.'),
}


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """Three lines, of one run."""
    lines = runs[0].stage(views.STAGE) if len(runs) == 1 else []
    if not lines:
        return None
    figure = canvas.blank(6.4, 4.4)
    ax = figure.subplots()
    for key, (label, color, dashes) in _LINES.items():
        x, y = rounds.series(lines, key)
        ax.plot(x, y, dashes, color=color, label=label, **rounds.dots(x))
        _, error = rounds.series(lines, f'{key}_se')
        ax.fill_between(x, y - error, y + error, color=color, alpha=0.15)
    ax.set_ylabel('accuracy')
    rounds.label(ax)
    figure.legend(loc='outside lower center', ncols=3)
    return figure
