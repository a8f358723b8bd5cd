"""The figures of a run folder, drawn from its logs alone.

Each returns the path it wrote, or None where the run has no data for it.
"""

import math
from pathlib import Path

import numpy as np

from fedprompt_jax.report import canvas, records
from fedprompt_jax.report.client_plots import clients
from fedprompt_jax.report.records import Row
from fedprompt_jax.report.summary import score_names
from fedprompt_jax.report.tradeoff_plots import tradeoff

_NORMS = {  # key in metrics.jsonl -> label, colour, dashes
    'prompt_norm': ('‖P‖ of the global prompt', canvas.BLUE, '-'),
    'client_grad_norm': ('‖g‖, mean over clients', canvas.VERMILLION, '--'),
    'update_norm': ('‖ΔP‖ of a round', canvas.GREEN, '-.'),
}
_LOSSES = {
    'loss': ('all local steps', canvas.BLUE, '-'),
    'loss_first_step': ('first step: the global prompt', canvas.ORANGE, '--'),
    'loss_last_step': ('last step', canvas.GREEN, ':'),
}


def all_figures(folder: str | Path) -> list[Path]:
    """Draws every figure that the run has data for; their paths."""
    drawn = (draw(folder) for draw in (tradeoff, clients, training, norms))
    return [path for path in drawn if path]


def training(folder: str | Path) -> Path | None:
    """figures/training.png: training loss and validation score by round."""
    lines = records.read_metrics(folder)
    train = [x for x in lines if x.get('stage') == 'train']
    scores = [x for x in lines if x.get('stage') == 'validation']
    if not train:
        return None
    unit = records.loss_unit(folder)
    best = records.chosen_validation(folder, lines)
    metric = records.selection(folder)

    def paint(figure):
        axes = figure.subplots(1, 2 if scores else 1, squeeze=False)[0]
        _paint_losses(axes[0], train, unit)
        if scores:
            _paint_validation(axes[1], scores, best, metric)

    return canvas.draw(folder, 'training', (10 if scores else 5.4, 4), paint)


def norms(folder: str | Path) -> Path | None:
    """figures/norms.png: norms by round, as in Profit's figure 3 (right)."""
    lines = records.read_metrics(folder)
    train = [x for x in lines if x.get('stage') == 'train']
    series = {key: _series(train, key) for key in _NORMS}
    if not any((y > 0).any() for _, y in series.values()):
        return None

    def paint(figure):
        ax = figure.subplots()
        for key, (x, y) in series.items():
            label, color, dashes = _NORMS[key]
            y = np.where(y > 0, y, np.nan)  # a log axis has no zero
            ax.plot(x, y, dashes, color=color, label=label, **_dots(x))
        ax.set_yscale('log')
        ax.set_title('Norms during federated training')
        ax.set_ylabel('Frobenius norm (log scale)')
        _rounds(ax)
        figure.legend(loc='outside lower center', ncols=3)

    return canvas.draw(folder, 'norms', (6.4, 4.4), paint)


def _paint_losses(ax, train: list[Row], unit: str) -> None:
    for key, (label, color, dashes) in _LOSSES.items():
        x, y = _series(train, key)
        if np.isfinite(y).any():
            width = 1.8 if key == 'loss' else 1.1
            style = {'color': color, 'lw': width} | _dots(x)
            ax.plot(x, y, dashes, label=label, **style)
    if len(ax.lines) > 1:
        ax.legend(title='mean over clients of', alignment='left')
    ax.set_title('Training loss')
    ax.set_ylabel(f'loss ({unit})')
    _rounds(ax)


def _paint_validation(
    ax, scores: list[Row], best: Row | None, metric: str
) -> None:
    x, y = _series(scores, metric)
    _, se = _series(scores, f'{metric}_se')
    ax.plot(x, y, color=canvas.BLUE, label='mean over clients', **_dots(x))
    if np.isfinite(se).any():
        band = {'color': canvas.BLUE, 'alpha': 0.15, 'lw': 0}
        ax.fill_between(x, y - se, y + se, label='± standard error', **band)
    if best:
        label = f'goes to stage 2: {best[metric]:.2f}, round {best["round"]}'
        star = {'marker': '*', 's': 170, 'color': canvas.VERMILLION}
        ax.scatter(best['round'], best[metric], zorder=3, label=label, **star)
    ax.legend()
    ax.set_title('Validation of the global prompt')
    ax.set_ylabel(f'{score_names(metric)[metric]} (x100)')
    _rounds(ax)


def _series(lines: list[Row], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Rounds and values, NaN where a line lacks the key."""
    values = np.array([x.get(key, math.nan) for x in lines], float)
    return np.array([x['round'] for x in lines], float), values


def _dots(x: np.ndarray) -> dict:
    """Few rounds are points; of many, the line says enough."""
    return {'marker': 'o', 'markersize': 4} if len(x) <= 40 else {}


def _rounds(ax) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel('round')
