"""The loss around the global prompt (Profit's observation 3a)."""

from collections.abc import Sequence
import json
from typing import TYPE_CHECKING, Any

from fedprompt_jax.report import canvas
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FILE = 'landscape.json'
CAPTION = (
    'Left: the loss, a mean over the evaluated clients on examples on which '
    'they personalize, along lines through the global prompt P; 1 is a step '
    'as long as P. Dotted: the same of the one client whose displacement the '
    'line is. Right: the ends of the spectrum of its Hessian; a bar is how far '
    'an eigenvalue may be from its estimate.'
)
NAMES = {
    'displacement': 'mean displacement of stage 2',
    'gradient': 'downhill',
    'client': "clients' displacements",
    'random': 'random',
}
COLORS = {
    'displacement': canvas.BLUE,
    'gradient': canvas.VERMILLION,
    'client': canvas.SKY,
    'random': canvas.GREY,
}


def read(run: Run) -> dict[str, Any] | None:
    """landscape.json of a run; None where it has none, or no client in it."""
    path = run.folder / FILE
    if not path.is_file():
        return None
    record = json.loads(path.read_text('utf-8'))
    return record if record['examples'] else None


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """Two panels, of one run that has measured its landscape."""
    if len(runs) != 1 or (record := read(runs[0])) is None:
        return None
    figure = canvas.blank(9.2, 4.4)
    lines, spectrum = figure.subplots(1, 2, width_ratios=(3, 2))
    seen: set[str] = set()
    for curve in record['curves']:
        kind = curve['direction']
        label = None if kind in seen else NAMES[kind]
        seen.add(kind)
        color = COLORS[kind]
        lines.plot(record['at'], curve['losses'], color=color, label=label)
        if curve['own'] is not None:
            lines.plot(record['at'], curve['own'], ':', color=color)
    lines.set_xlabel('distance from P, in norms of P')
    lines.set_ylabel(f'loss ({runs[0].loss_unit})')
    lines.set_title('The loss around the global prompt')
    paint_spectrum(spectrum, record, canvas.BLUE, 'o', 0.0)
    spectrum.axhline(0, color=canvas.GREY, linewidth=1)
    spectrum.set_xticks([])
    spectrum.set_title('Ends of the spectrum')
    spectrum.set_ylabel('eigenvalue of the Hessian')
    figure.legend(*_names(lines), loc='outside lower center', ncols=4)
    return figure


def paint_spectrum(
    axes: 'Axes',
    record: dict[str, Any],
    color: str,
    marker: str,
    place: float,
    scale: float = 1.0,
) -> None:
    """Draws both ends of a spectrum above a place of the horizontal axis.

    Args:
      axes: where.
      record: landscape.json.
      color: of all eigenvalues.
      marker: likewise.
      place: where they begin; each is a little to the right of the last one.
      scale: by which eigenvalues and bounds are multiplied.
    """
    ends = record['eigenvalues']
    for name in ('largest', 'smallest'):
        pairs = zip(ends[name], ends[f'{name}_bounds'], strict=True)
        for number, (value, bound) in enumerate(pairs):
            axes.errorbar(
                place + 0.1 * number,
                scale * value,
                scale * bound,
                color=color,
                marker=marker,
                markersize=4,
            )


def _names(axes: 'Axes') -> tuple[list[Any], list[str]]:
    return axes.get_legend_handles_labels()
