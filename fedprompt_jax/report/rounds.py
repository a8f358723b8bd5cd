"""Lines of metrics.jsonl as curves over the rounds of training."""

import math
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report.canvas import Style
from fedprompt_jax.report.records import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def series(lines: list[Row], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Rounds and values of a key, both [lines]; NaN where a line lacks it."""
    values = np.array([x.get(key, math.nan) for x in lines], float)
    return np.array([x['round'] for x in lines], float), values


def dots(x: np.ndarray) -> Style:
    """Markers for a curve: up to 40 rounds are points, more a line alone."""
    return {'marker': 'o', 'markersize': 4} if len(x) <= 40 else {}


def label(ax: 'Axes') -> None:
    """Labels the horizontal axis as rounds, with ticks at integers."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel('round')
