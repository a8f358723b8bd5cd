"""Training loss and validation score by round."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fedprompt_jax.report import canvas, rounds
from fedprompt_jax.report.records import Row
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.report.summary import score_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    'Training loss by round, and {score} of the global prompt on validation '
    'clients; the starred prompt is the one to personalize.'
)
_LOSSES = {
    'loss': ('all local steps', canvas.BLUE, '-'),
    'loss_first_step': ('first step: the global prompt', canvas.ORANGE, '--'),
    'loss_last_step': ('last step', canvas.GREEN, ':'),
}


def draw(runs: Sequence[Run]) -> 'Figure | None':
    """The losses of one run, or a line a run; validation beside them."""
    trained = [run for run in runs if run.stage('train')]
    if not trained:
        return None
    validated = any(run.stage('validation') for run in trained)
    several = len(runs) > 1
    figure = canvas.blank(10 if validated else 5.4, 5 if several else 4)
    axes = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
    if several:
        _paint_runs(axes, trained, runs)
        figure.legend(
            *axes[0].get_legend_handles_labels(),
            loc='outside lower center',
            ncols=3,
        )
        return figure
    (run,) = trained
    _paint_losses(axes[0], run.stage('train'), run.loss_unit)
    if validated:
        scores = run.stage('validation')
        _paint_validation(axes[1], scores, run.chosen_validation, run.selection)
    return figure


def _paint_runs(
    axes: 'Sequence[Axes]', trained: Sequence[Run], runs: Sequence[Run]
) -> None:
    """A loss curve a run, and a validation curve where there are two axes.

    Args:
      axes: one, or two.
      trained: the runs that are drawn.
      runs: all; a run's place among them is its style in every figure.
    """
    metric = leading_metric(trained)
    for run in trained:
        color, marker = canvas.style_of(runs.index(run))
        x, y = rounds.series(run.stage('train'), 'loss')
        style: canvas.Style = {'color': color, 'marker': marker}
        # Few markers: they tell the lines apart, and are not the rounds.
        style['markevery'] = 0.1 if len(x) > 10 else 1
        axes[0].plot(x, y, label=run.name, **style)
        for ax in axes[1:]:
            scores = run.stage('validation')
            ax.plot(*rounds.series(scores, metric), label=run.name, **style)
            best = run.chosen_validation
            if best:
                place = best['round'], best.get(metric, np.nan)
                star: canvas.Style = {'marker': '*', 's': 170, 'color': color}
                ax.scatter(*place, edgecolor='white', zorder=3, **star)
    units = {run.loss_unit for run in trained}
    unit = units.pop() if len(units) == 1 else 'of each run in its own unit'
    axes[0].set(title='Training loss', ylabel=f'loss\n({unit})')
    for ax in axes[1:]:
        ax.set_title('Validation of the global prompt')
        ax.set_ylabel(f'{score_names(metric)[metric]} (x100)')
    for ax in axes:
        rounds.label(ax)


def _paint_losses(ax: 'Axes', train: list[Row], unit: str) -> None:
    for key, (label, color, dashes) in _LOSSES.items():
        x, y = rounds.series(train, key)
        if np.isfinite(y).any():
            width = 1.8 if key == 'loss' else 1.1
            style: canvas.Style = {'color': color, 'lw': width}
            style |= rounds.dots(x)
            ax.plot(x, y, dashes, label=label, **style)
    if len(ax.lines) > 1:
        ax.legend(title='mean over clients of', alignment='left')
    ax.set_title('Training loss')
    ax.set_ylabel(f'loss ({unit})')
    rounds.label(ax)


def _paint_validation(
    ax: 'Axes', scores: list[Row], best: Row | None, metric: str
) -> None:
    x, y = rounds.series(scores, metric)
    _, se = rounds.series(scores, f'{metric}_se')
    ax.plot(
        x, y, color=canvas.BLUE, label='mean over clients', **rounds.dots(x)
    )
    if np.isfinite(se).any():
        band: canvas.Style = {'color': canvas.BLUE, 'alpha': 0.15, 'lw': 0}
        ax.fill_between(x, y - se, y + se, label='± standard error', **band)
    if best:
        label = f'goes to stage 2: {best[metric]:.2f}, round {best["round"]}'
        star: canvas.Style = {
            'marker': '*',
            's': 170,
            'color': canvas.VERMILLION,
        }
        ax.scatter(best['round'], best[metric], zorder=3, label=label, **star)
    ax.legend()
    ax.set_title('Validation of the global prompt')
    ax.set_ylabel(f'{score_names(metric)[metric]} (x100)')
    rounds.label(ax)
