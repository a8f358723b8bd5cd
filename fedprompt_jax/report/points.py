"""Clients as points: their local against their global score."""

from collections.abc import Sequence
import math
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.report.records import Row
from fedprompt_jax.report.summary import last_epoch, mean_of, score_names

Points = dict[Any, tuple[float, float]]  # client -> (local, global) score


class Spot(NamedTuple):
    """The means over clients as a point of a plot.

    Attributes:
      x: mean local score.
      y: mean global score.
      x_se: standard error of `x`.
      y_se: standard error of `y`.
    """

    x: float
    y: float
    x_se: float
    y_se: float


def axes(metric: str) -> dict[str, str]:
    """Labels of the axes of a plot of `metric`.

    Local scores lie on the horizontal axis, as in Profit: more weight on the
    personalized prompt moves a point to the right.
    """
    name = score_names(metric)[metric]
    return {
        'xlabel': f"local {name} (x100): each client's own examples",
        'ylabel': f'global {name} (x100): one set for all clients',
    }


def points(
    rows: Sequence[Row], prompt: str, metric: str, **fixed: Any
) -> Points:
    """The scores of a prompt for each client that has both of them.

    Args:
      rows: of tradeoff.csv.
      prompt: the label of the scored prompt.
      metric: the score, such as 'rouge_l'.
      **fixed: values that other columns must have.
    """
    fixed['prompt'] = prompt
    scores: dict[Any, dict[str, float]] = {}
    for r in rows:
        if all(r[k] == v for k, v in fixed.items()):
            client = (r['run'], r['seed'], r['client'])
            scores.setdefault(client, {})[r['split']] = r[metric]
    pairs = {
        c: (s.get('local', math.nan), s.get('global', math.nan))
        for c, s in scores.items()
    }
    return {c: xy for c, xy in pairs.items() if np.isfinite(xy).all()}


def by_epoch(rows: Sequence[Row], metric: str) -> dict[int, Points]:
    """Points after each scored epoch; epoch 0 is the global prompt."""
    scored = {r['epoch'] for r in rows if r['prompt'] == 'personalized'}
    epochs = {0: points(rows, 'global', metric)}
    for epoch in sorted(scored - {0}):
        epochs[epoch] = points(rows, 'personalized', metric, epoch=epoch)
    return {e: p for e, p in epochs.items() if p}


def by_alpha(rows: Sequence[Row], metric: str) -> dict[float, Points]:
    """Points of the averaged prompts, by weight of the personalized one."""
    last = last_epoch(rows, 'averaged')
    alphas = sorted({r['alpha'] for r in rows if r['prompt'] == 'averaged'})
    averages = {
        a: points(rows, 'averaged', metric, alpha=a, epoch=last) for a in alphas
    }
    return {a: p for a, p in averages.items() if p}


def spot(clients: Points) -> Spot:
    """The means over clients, of which there is at least one."""
    x, y = (mean_of(scores) for scores in zip(*clients.values(), strict=True))
    return Spot(x.mean, y.mean, x.se, y.se)


def count(epochs: dict[int, Points]) -> str:
    """The number of clients in a figure, and of those dropped, in words."""
    everyone = set().union(*epochs.values())
    lost = len(everyone) - min(len(p) for p in epochs.values())
    word = 'client' if len(everyone) == 1 else 'clients'
    return f'{len(everyone)} {word}' + (f', {lost} dropped' if lost else '')
