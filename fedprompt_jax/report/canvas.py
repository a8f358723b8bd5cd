"""How figures look and reach the disk: one style, one palette, whole files."""

from collections.abc import Callable
import io
from pathlib import Path
import threading
from typing import Any

from fedprompt_jax import files

# Okabe and Ito's palette: told apart by colour-blind readers.
BLUE, ORANGE, GREEN, VERMILLION = '#0072B2', '#E69F00', '#009E73', '#D55E00'
GREY, INK = '#8A8A8A', '#222222'
DPI = 150
_STYLE = {
    'axes.axisbelow': True,
    'axes.edgecolor': GREY,
    'axes.grid': True,
    'axes.labelcolor': INK,
    'axes.spines.right': False,
    'axes.spines.top': False,
    'axes.titlelocation': 'left',
    'axes.titlesize': 11,
    'axes.titleweight': 'bold',
    'grid.color': '#E8E8E8',
    'legend.fontsize': 9,
    'legend.frameon': False,
    'lines.linewidth': 1.8,
    'text.color': INK,
}

_ONE_AT_A_TIME = threading.Lock()  # matplotlib has one style for all threads


def draw(
    folder: str | Path,
    name: str,
    inches: tuple[float, float],
    paint: Callable[[Any], None],
) -> Path:
    """Writes RUN/figures/<name>.png: what paint put on a matplotlib Figure.

    The same drawing gives the same bytes, whatever the reader's matplotlibrc.
    """
    from matplotlib.figure import Figure
    import matplotlib.style

    png = io.BytesIO()
    with _ONE_AT_A_TIME, matplotlib.style.context(['default', _STYLE]):
        # A bare Figure draws with Agg: no display, no state shared with pyplot.
        figure = Figure(figsize=inches, layout='constrained')
        paint(figure)
        # 'Software' would hold matplotlib's version.
        figure.savefig(png, format='png', dpi=DPI, metadata={'Software': None})
    path = Path(folder) / 'figures' / f'{name}.png'
    path.parent.mkdir(exist_ok=True)
    files.write_whole(path, png.getvalue())
    return path
