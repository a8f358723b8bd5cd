"""How an auxiliary model came close to the full one before the rounds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report import canvas
from fedprompt_jax.report.run import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGE = 'distill'
CAPTION = (
    "The auxiliary model's distillation at the server: its loss on each batch, "
    'and the mean over a tenth of the steps. Where the mean no longer falls, '
    'more steps help no more.'
)
WINDOW = 0.1  # share of the steps that are averaged


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """A curve a run; None where no run has distilled a model."""
    curves = {run: [x['loss'] for x in run.stage(STAGE)] for run in runs}
    curves = {run: losses for run, losses in curves.items() if losses}
    if not curves:
        return None
    figure = canvas.blank(6.4, 4.4)
    ax = figure.subplots()
    for run, losses in curves.items():
        color, _ = canvas.style_of(list(runs).index(run))
        steps = np.arange(1, len(losses) + 1)
        ax.plot(steps, losses, color=color, alpha=0.3)
        width = max(1, round(WINDOW * len(losses)))
        means = np.convolve(losses, np.full(width, 1 / width), 'valid')
        ax.plot(steps[width - 1 :], means, color=color, label=run.name)
    ax.set_yscale('log')
    ax.set_xlabel('step')
    ax.set_ylabel('loss (log scale)')
    ax.set_title('Distillation of the auxiliary model')
    if len(curves) > 1:
        figure.legend(loc='outside lower center', ncols=3)
    return figure
