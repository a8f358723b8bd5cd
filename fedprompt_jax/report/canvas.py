"""How figures look: one style, one palette, the same bytes everywhere."""

from collections.abc import Callable, Sequence
import io
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # it takes a second to import
    from matplotlib.figure import Figure

# Okabe and Ito's palette: colour-blind readers can distinguish its colours.
BLUE, ORANGE, GREEN, VERMILLION = '#0072B2', '#E69F00', '#009E73', '#D55E00'
SKY, PURPLE = '#56B4E9', '#CC79A7'
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
# The numbers of colours and of markers have no common divisor, so that 56
# runs look different.
_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, INK)
_MARKERS = ('o', 's', '^', 'v', 'P', 'X', 'p', '*')

T = TypeVar('T')  # a run, or a run of a study

Style = dict[str, Any]  # keywords of a matplotlib call
_ONE_AT_A_TIME = threading.Lock()  # matplotlib has one style for all threads


def png(
    draw: 'Callable[[Sequence[T]], Figure | None]', runs: Sequence[T]
) -> bytes | None:
    """Returns a figure of runs as a PNG file; None where there is none.

    The same drawing gives the same bytes, whatever the reader's matplotlibrc.

    Args:
      draw: of a file in report/figures or of a study.
      runs: what it draws.
    """
    import matplotlib.style

    content = io.BytesIO()
    with _ONE_AT_A_TIME, matplotlib.style.context(['default', _STYLE]):
        figure = draw(runs)
        if figure is None:
            return None
        # 'Software' would hold matplotlib's version.
        metadata = {'Software': None}
        figure.savefig(content, format='png', dpi=DPI, metadata=metadata)
    return content.getvalue()


def blank(width: float, height: float) -> 'Figure':
    """A figure of so many inches with nothing on it."""
    from matplotlib.figure import Figure

    # A bare Figure draws with Agg: no display, no state shared with pyplot.
    return Figure(figsize=(width, height), layout='constrained')


def style_of(number: int) -> tuple[str, str]:
    """Colour and marker of the run with this number, among several runs."""
    return _COLORS[number % len(_COLORS)], _MARKERS[number % len(_MARKERS)]
