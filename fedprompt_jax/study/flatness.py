"""How flat the loss is around the prompts of several runs, side by side."""

from collections.abc import Callable, Sequence
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fedprompt_jax.report import canvas, rounds
from fedprompt_jax.report.figures import landscape
from fedprompt_jax.report.run import Run
from fedprompt_jax.study.outputs import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Name = Callable[[dict[str, Any]], str]
# Direction in landscape.json -> title of its panel.
PANELS = {
    'displacement': 'Along the mean displacement',
    'gradient': 'Downhill and uphill',
    'random': 'Along random directions',
}


class Measured(NamedTuple):
    """A run that has measured its landscape.

    Attributes:
      number: its place among all runs, which decides its colour.
      name: in legends.
      run: its records.
      record: its landscape.json.
    """

    number: int
    name: str
    run: Run
    record: dict[str, Any]


def measured(results: Sequence[Result], name: Name) -> list[Measured]:
    """The complete runs that have a landscape.json.

    Args:
      results: the runs.
      name: overrides of a run -> its name.
    """
    found = []
    for number, result in enumerate(results):
        if result.run is not None:
            record = landscape.read(result.run)
            if record is not None:
                label = name(result.overrides)
                found.append(Measured(number, label, result.run, record))
    return found


def rises(record: dict[str, Any], direction: str) -> np.ndarray | None:
    """Loss - loss of the prompt itself, a mean over lines of one kind, [T].

    Args:
      record: landscape.json.
      direction: the kind.

    Returns:
      None where there is no line of this kind.
    """
    lines = [
        curve['losses']
        for curve in record['curves']
        if curve['direction'] == direction
    ]
    if not lines:
        return None
    # A loss that is not finite is null in the file.
    losses = np.array(lines, float)
    return losses.mean(axis=0) - record['loss']


def ratios(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Rounds, and the gradient's norm over the prompt's, both [rounds]."""
    train = run.stage('train')
    x, gradients = rounds.series(train, 'client_grad_norm')
    _, prompts = rounds.series(train, 'prompt_norm')
    return x, gradients / np.where(prompts > 0, prompts, np.nan)


def draw(results: Sequence[Result], name: Name) -> 'Figure | None':
    """Three panels of losses, one of eigenvalues, one of ratios by round."""
    found = measured(results, name)
    if not found:
        return None
    figure = canvas.blank(13.8, 8.0)
    panels = figure.subplots(2, 3)
    for axes, (direction, title) in zip(panels[0], PANELS.items(), strict=True):
        for one in found:
            rise = rises(one.record, direction)
            if rise is not None:
                color, marker = canvas.style_of(one.number)
                axes.plot(
                    one.record['at'],
                    rise,
                    color=color,
                    marker=marker,
                    markersize=4,
                    label=one.name,
                )
        axes.set_yscale('symlog', linthresh=0.1)
        axes.set_title(title)
        axes.set_xlabel('distance from P, in norms of P')
    panels[0][0].set_ylabel('loss - loss at P')
    spectrum, by_round, empty = panels[1]
    for one in found:
        color, marker = canvas.style_of(one.number)
        scale = one.record['prompt_norm'] ** 2
        landscape.paint_spectrum(
            spectrum, one.record, color, marker, one.number, scale
        )
        x, y = ratios(one.run)
        by_round.plot(x, y, color=color, label=one.name, **rounds.dots(x))
    spectrum.set_yscale('symlog')
    spectrum.set_xticks([])
    spectrum.axhline(0, color=canvas.GREY, linewidth=1)
    spectrum.set_title('Eigenvalues times ‖P‖²')
    by_round.set_yscale('log')
    by_round.set_title('‖g‖ / ‖P‖ by round')
    rounds.label(by_round)
    empty.set_axis_off()
    empty.legend(*panels[0][1].get_legend_handles_labels(), loc='center left')
    return figure


def table(results: Sequence[Result], name: Name) -> list[list[str]]:
    """A header, and a line a run: norms, curvatures, rises of the loss."""
    lines = [
        [
            'run',
            '‖P‖',
            'loss',
            '‖g‖ / ‖P‖',
            'largest λ',
            'smallest λ',
            'largest λ ‖P‖²',
            'smallest λ ‖P‖²',
            *(f'rise, {direction}' for direction in PANELS),
        ]
    ]
    known = {one.number: one.record for one in measured(results, name)}
    for number, result in enumerate(results):
        record = known.get(number)
        label = name(result.overrides)
        if record is None:
            lines.append([label, *['–'] * (len(lines[0]) - 1)])
            continue
        ends = record['eigenvalues']
        largest, smallest = ends['largest'][0], ends['smallest'][0]
        square = record['prompt_norm'] ** 2
        numbers = [
            record['prompt_norm'],
            record['loss'],
            record['gradient_over_prompt'],
            largest,
            smallest,
            largest * square,
            smallest * square,
            *(curvature(record, direction) for direction in PANELS),
        ]
        lines.append([label, *map(_show, numbers)])
    return lines


def curvature(record: dict[str, Any], direction: str) -> float:
    """The mean rise of the loss at both ends of the lines.

    The slope at the prompt cancels: what is left is curvature, of any order.

    Args:
      record: landscape.json.
      direction: the kind of the lines; NaN where there is none.
    """
    rise = rises(record, direction)
    return math.nan if rise is None else float(rise[[0, -1]].mean())


def _show(value: float | None) -> str:
    missing = value is None or math.isnan(value)
    return '–' if missing else f'{value:.3g}'
