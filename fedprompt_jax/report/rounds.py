"""Lines of metrics.jsonl as curves over the rounds of training."""

import math
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report.canvas import Style
from fedprompt_jax.report.records import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def series(lines: list[Row], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Rounds and values, NaN where a line lacks the key."""
    values = np.array([x.get(key, math.nan) for x in lines], float)
    return np.array([x['round'] for x in lines], float), values


def dots(x: np.ndarray) -> Style:
    """Few rounds are points; of many, the line says enough."""
    return {'marker': 'o', 'markersize': 4} if len(x) <= 40 else {}


def label(ax: 'Axes') -> None:
    """Makes the horizontal axis that of rounds."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel('round')
