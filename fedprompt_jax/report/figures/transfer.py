"""Every client's prompt on every client's examples, ordered by task type."""

from collections.abc import Sequence
import itertools
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report import canvas, transfer
from fedprompt_jax.report.run import Run
from fedprompt_jax.report.summary import score_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    'Gain in {score} (x 100) over the global prompt: the prompt of the client '
    'in the row on the common examples of the client in the column, after the '
    'last epoch. Clients are ordered by task type, and lines part the types. '
    'The diagonal is a client on its own examples.'
)
_MOST = 40  # clients whose numbers are written


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """A heat map of one run."""
    if len(runs) != 1:
        return None
    metric = runs[0].selection
    found = transfer.read(runs[0], metric)
    if found is None or np.isnan(found.gain).all():
        return None
    size = min(12.0, 4.5 + 0.16 * len(found.clients))
    figure = canvas.blank(size + 2.5, size)
    ax = figure.subplots()
    ax.grid(False)
    # White is 0: what the global prompt scores.
    most = max(float(np.nanmax(np.abs(found.gain))), 1e-9)
    image = ax.imshow(found.gain, cmap='RdBu', vmin=-most, vmax=most)
    figure.colorbar(image, label=f'gain in {score_names(metric)[metric]}')
    _mark_types(ax, found.types)
    _number_clients(ax, found.clients)
    ax.set_xlabel('examples of client')
    ax.set_title("Each client's prompt on each client's examples")
    return figure


def _mark_types(ax: 'Axes', types: list[str]) -> None:
    """Lines between task types, and their names to the left."""
    middles, names, begin = [], [], 0
    for name, members in itertools.groupby(types):
        end = begin + len(list(members))
        if begin:
            for line in (ax.axhline, ax.axvline):
                line(begin - 0.5, color=canvas.INK, lw=1)
        middles.append((begin + end - 1) / 2)
        names.append(name or 'prompt of client')
        begin = end
    ax.set_yticks(middles, names)


def _number_clients(ax: 'Axes', clients: np.ndarray) -> None:
    """Numbers of clients below, where there is room for them."""
    few = clients.tolist() if len(clients) <= _MOST else []
    ax.set_xticks(range(len(few)), [f'{c}' for c in few], rotation=90)
