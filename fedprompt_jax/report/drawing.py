"""All figures of some runs, and which of them could not be drawn."""

from collections.abc import Iterable, Sequence
import logging
from pathlib import Path
from typing import NamedTuple

from fedprompt_jax import files
from fedprompt_jax.report import canvas, figures
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.report.summary import score_names

_LOG = logging.getLogger(__name__)
_FAILED = 'The figure {} could not be drawn: '


class Drawing(NamedTuple):
    """A figure's name, the text under it, and its picture."""

    name: str
    caption: str
    png: bytes


def draw_all(runs: Sequence[Run]) -> tuple[list[Drawing], list[str]]:
    """Draws every figure that the runs have data for.

    Returns:
      The figures, and a sentence for each that raised an error: a figure is
      looked at, and no result depends on it.
    """
    metric = leading_metric(runs)
    score = score_names(metric)[metric]
    drawings, failures = [], []
    for name in figures.names():
        try:
            figure = figures.get(name)
            caption = figure.CAPTION
            if len(runs) > 1:
                caption = getattr(figure, 'CAPTION_OF_SEVERAL', caption)
            caption = caption.format(score=score)
            png = canvas.png(figure.draw, runs)
        # A figure is anybody's code, and raises whatever it raises.
        except Exception as error:
            reason = f'{type(error).__name__}: {error}'
            failures.append(_FAILED.format(name) + reason)
            _LOG.warning(failures[-1], exc_info=True)
            continue
        if png is not None:
            drawings.append(Drawing(name, caption, png))
    return drawings, failures


def is_failure(warning: str) -> bool:
    """Whether a warning is a sentence of draw_all."""
    start, end = _FAILED.split('{}')
    return warning.startswith(start) and end in warning


def save(folder: Path, drawings: Iterable[Drawing]) -> None:
    """Writes FOLDER/figures/<name>.png, each of them whole."""
    for drawing in drawings:
        path = folder / 'figures' / f'{drawing.name}.png'
        path.parent.mkdir(exist_ok=True)
        files.write_whole(path, drawing.png)
