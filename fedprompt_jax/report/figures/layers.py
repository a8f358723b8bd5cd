"""Scores of layers, and which of them travel (FedPepTAO, arXiv 2310.15080)."""

from collections.abc import Sequence
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fedprompt_jax.report import canvas
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    'The score of every layer of the frozen model, and the layers whose '
    'prompts travel (filled). The last layer has no score.'
)
FILE = 'layers.json'


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """A bar a layer, of one run that has chosen layers."""
    if len(runs) != 1 or not (path := runs[0].folder / FILE).is_file():
        return None
    return figure_of(json.loads(path.read_text('utf-8')))


def figure_of(record: dict[str, Any]) -> 'Figure | None':
    """The figure of what layers.json holds; None where nothing is scored."""
    if 'scores' not in record:
        return None
    values, chosen = np.array(record['scores']), set(record['chosen'])
    figure = canvas.blank(7.2, 3.8)
    ax = figure.subplots()
    for travels, label in ((True, 'travels'), (False, 'stays')):
        at = [i for i in range(len(values)) if (i in chosen) == travels]
        ax.bar(
            at,
            values[at],
            label=label,
            color=canvas.BLUE if travels else 'none',
            edgecolor=canvas.BLUE,
        )
    ax.set_xlabel('layer')
    ax.set_ylabel(f'score ({record["score"]}; {record["order"]} first)')
    figure.legend(loc='outside lower center', ncols=2)
    return figure
