"""Gains of personalization where training saw a client's task types or not.

The two kinds of runs have other clients, so that their difference is unpaired.
"""

from collections.abc import Callable, Sequence
import math
from typing import Any

import numpy as np

from fedprompt_jax.report import points, summary
from fedprompt_jax.report.records import SPLITS
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.tradeoff import bootstrap
from fedprompt_jax.tradeoff.bootstrap import Interval

Overrides = dict[str, Any]
PROMPTS = ('global', 'personalized')
HEADER = (
    'task types',
    *(f'{split}, {prompt}' for split in SPLITS for prompt in PROMPTS),
    *(f'{split} gain' for split in SPLITS),
    'clients',
)


def scores(runs: Sequence[Run], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores f64 [C, 2, 2] of clients by (prompt, split), and seeds int [C].

    The personalized prompt is that after the last epoch. Clients without both
    prompts' scores are left out.

    Args:
      runs: each of another seed.
      metric: 'rouge_l' or 'exact_match'.
    """
    found, seeds = [], []
    for run in runs:
        last = summary.last_epoch(run.rows)
        before = points.points(run.rows, 'global', metric)
        after = points.points(run.rows, 'personalized', metric, epoch=last)
        for client in after:
            if client in before:
                found.append([before[client], after[client]])
                seeds.append(client[1])
    return np.array(found, float).reshape(-1, 2, 2), np.array(seeds, int)


def gain(split: str) -> Callable[[np.ndarray], np.ndarray]:
    """Personalized less global, f64 [B, 2, 2] -> [B], on a split."""
    s = SPLITS.index(split)
    return lambda points: points[:, 1, s] - points[:, 0, s]


def unpaired(
    statistic: bootstrap.Statistic,
    a: tuple[np.ndarray, np.ndarray],
    b: tuple[np.ndarray, np.ndarray],
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A statistic of clients `a` less that of others, with its interval.

    Both are resampled apart (Davison and Hinkley 1997, section 3.2).

    Args:
      statistic: of points f64 [B, T, 2]; returns f64 [B].
      a: scores f64 [C, T, 2] and seeds int [C], all finite.
      b: likewise, of other clients.
      resamples: B.
      seed: of the bootstrap's own random numbers.
    """
    rng = np.random.default_rng(seed)
    first, second = (_drawn(statistic, *x, resamples, rng) for x in (a, b))
    estimate = float(first[0] - second[0])
    low = high = math.nan
    sizes = [len(seeds) for _, seeds in (a, b)]
    if min(sizes) > 1:
        low, high = bootstrap.percentiles(estimate, first[1:] - second[1:])
    fewest = min(len(np.unique(seeds)) for _, seeds in (a, b))
    return Interval(estimate, low, high, fewest, sum(sizes))


def _drawn(
    statistic: bootstrap.Statistic,
    scores: np.ndarray,
    seeds: np.ndarray,
    resamples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The statistic of the clients, then of each resample, f64 [1 + B]."""
    once = np.ones((1, len(seeds)), np.int64)
    times = np.concatenate([once, bootstrap.counts(seeds, resamples, rng)])
    weights = bootstrap.weights_of(times, seeds)
    return statistic(bootstrap.mean_points(weights, scores))


def table(
    results: Sequence[Result], kind: Callable[[Overrides], str]
) -> list[list[str]]:
    """A header, the two kinds of runs, and the first less the second.

    Args:
      results: the runs.
      kind: overrides of a run -> the words for its task types; of two kinds.
    """
    groups: dict[str, list[Run]] = {}
    for result in results:
        runs = groups.setdefault(kind(result.overrides), [])
        if result.run is not None:
            runs.append(result.run)
    metric = leading_metric([run for runs in groups.values() for run in runs])
    lines, found = [list(HEADER)], []
    for name, runs in groups.items():
        of, seeds = scores(runs, metric)
        if not len(of):
            lines.append([name, *['–'] * (len(HEADER) - 1)])
            continue
        found.append((of, seeds))
        means = (
            f'{bootstrap.interval(_score(p, s), of, seeds).estimate:.2f}'
            for s in range(2)
            for p in range(2)
        )
        gains = (bootstrap.interval(gain(s), of, seeds) for s in SPLITS)
        lines.append([name, *means, *map(_shown, gains), f'{len(seeds)}'])
    if len(found) == 2:
        one, other = found
        differences = (unpaired(gain(s), one, other) for s in SPLITS)
        first, second = groups
        lines.append(
            [
                f'{first} less {second}, unpaired',
                *['–'] * 4,
                *map(_shown, differences),
                f'{sum(len(seeds) for _, seeds in found)}',
            ]
        )
    return lines


def _score(prompt: int, split: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda points: points[:, prompt, split]


def _shown(x: Interval) -> str:
    if math.isnan(x.low):
        return f'{x.estimate:+.2f}'
    return f'{x.estimate:+.2f} [{x.low:+.2f}, {x.high:+.2f}]'
