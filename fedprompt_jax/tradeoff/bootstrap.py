"""Bootstrap intervals over seeds and over the clients within each of them.

Two things are random: the seed, of which the global prompt and the choice of
clients are functions, and the clients of a seed. A resample draws as many seeds
as there are, with replacement, and for each seed that it drew as many of its
clients, with replacement (Davison and Hinkley 1997, section 3.8). All prompts
of a client are drawn together, so that differences between prompts, and between
methods that share clients, are paired. An interval lies between percentiles of
the statistic of the resamples.

With one seed, the clients alone are drawn: the interval says nothing of how
another seed would turn out. `Interval.seeds` says which of the two it is.
"""

from collections.abc import Callable, Mapping
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Statistic = Callable[[np.ndarray], np.ndarray]  # f64 [B, T, 2] -> f64 [B]
LEVEL = 0.95
RESAMPLES = 2000


class Interval(NamedTuple):
    """An estimate with its bootstrap interval and its counts.

    Attributes:
      estimate: the statistic of the scores as they are; NaN for no client.
      low: the lower end; NaN for fewer than two clients, or where the estimate
        is NaN.
      high: the upper end, as `low`.
      seeds: the number of seeds; 1 says that clients alone were drawn.
      clients: the number of clients in the estimate, over all seeds.
      dropped: the number of clients left out, since one of their scores is not
        finite.
    """

    estimate: float
    low: float
    high: float
    seeds: int
    clients: int
    dropped: int = 0


def interval(
    statistic: Statistic,
    scores: ArrayLike,
    seeds: ArrayLike,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A statistic of mean points, with its interval.

        >>> scores = [[[1.0, 2.0]], [[3.0, 2.0]]]
        >>> interval(lambda points: points[:, 0, 0], scores, [0, 0])[:3]
        (2.0, 1.0, 3.0)

    Args:
      statistic: of points f64 [B, T, 2], means over the clients of a seed and
        then over seeds; returns f64 [B].
      scores: f64 [C, T, 2], the local and the global scores of C clients at T
        prompts. A client with a score that is not finite is left out at all
        prompts, and counted in `dropped`.
      seeds: int [C], the seed of each client. A seed without clients is none.
      level: the share of intervals that are to contain the truth.
      resamples: B, the number of resamples.
      seed: of the bootstrap's own random numbers.

    Raises:
      ValueError: the shapes do not match.
    """
    only = {'': statistic}
    return intervals(only, scores, seeds, level, resamples, seed)['']


def intervals(
    statistics: Mapping[str, Statistic],
    scores: ArrayLike,
    seeds: ArrayLike,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """As `interval`, of several statistics of the same resamples, by name."""
    scores, seeds = _checked(scores, seeds)
    whole = np.isfinite(scores).all((1, 2))
    kept, of = scores[whole], seeds[whole]

    def values(times):
        points = mean_points(weights_of(times, of), kept)
        return {name: f(points) for name, f in statistics.items()}

    dropped = int((~whole).sum())
    found = of_counts(values, of, level, resamples, seed, dropped)
    # Without clients there is nothing to ask for names.
    nothing = Interval(math.nan, math.nan, math.nan, 0, 0, dropped)
    return {name: found.get(name, nothing) for name in statistics}


def difference(
    statistic: Statistic,
    a: ArrayLike,
    b: ArrayLike,
    seeds: ArrayLike,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The statistic of one method minus that of another, with its interval.

    Each resample has the same clients for both.

    Args:
      statistic: as for `interval`.
      a: f64 [C, T, 2], the scores of C clients by one method.
      b: f64 [C, T', 2], the scores of the same clients by the other.
      seeds: int [C], the seed of each client.
      level: as for `interval`.
      resamples: as for `interval`.
      seed: as for `interval`.

    Raises:
      ValueError: the shapes do not match.
    """
    a, seeds = _checked(a, seeds)
    b, _ = _checked(b, seeds)
    whole = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))
    dropped = int((~whole).sum())

    of = seeds[whole]

    def gap(times):
        weights = weights_of(times, of)
        first, second = (mean_points(weights, x[whole]) for x in (a, b))
        return {'': statistic(first) - statistic(second)}

    found = of_counts(gap, of, level, resamples, seed, dropped)
    nothing = Interval(math.nan, math.nan, math.nan, 0, 0, dropped)
    return found.get('', nothing)


def of_counts(
    values: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    seeds: np.ndarray,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    dropped: int = 0,
) -> dict[str, Interval]:
    """Intervals of what is computed from the counts of clients in resamples.

    Args:
      values: of int [B, C], how often each client is drawn; returns a name ->
        f64 [B].
      seeds: int [C], the seed of each client.
      level: as for `interval`.
      resamples: as for `interval`.
      seed: as for `interval`.
      dropped: the number of clients left out before.

    Returns:
      A name -> its interval; {} for no client.
    """
    clients, groups = len(seeds), len(np.unique(seeds))
    if not clients:
        return {}
    once = values(np.ones((1, clients), np.int64))
    estimates = {name: float(np.ravel(x)[0]) for name, x in once.items()}
    ends = dict.fromkeys(estimates, (math.nan, math.nan))
    if clients > 1:
        rng = np.random.default_rng(seed)
        drawn = values(counts(seeds, resamples, rng))
        ends = {
            name: percentiles(estimate, np.asarray(drawn[name], float), level)
            for name, estimate in estimates.items()
        }
    return {
        name: Interval(estimate, *ends[name], groups, clients, dropped)
        for name, estimate in estimates.items()
    }


def counts(
    seeds: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """How often each resample draws each client: int [B, C].

    Args:
      seeds: int [C], the seed of each client.
      resamples: B.
      rng: of the draws.
    """
    names, sizes = np.unique(seeds, return_counts=True)
    drawn = rng.multinomial(
        len(names), np.full(len(names), 1 / len(names)), resamples
    )  # [B, S]
    times = np.zeros((resamples, len(seeds)), np.int64)
    for k, (name, size) in enumerate(zip(names, sizes, strict=True)):
        # A seed drawn m times has m independent draws of its clients, whose sum
        # is multinomial.
        times[:, seeds == name] = rng.multinomial(
            drawn[:, k] * size, np.full(size, 1 / size)
        )
    return times


def weights_of(times: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The weight of each client in a mean over clients, then over seeds.

    Args:
      times: int [B, C], how often each client is drawn.
      seeds: int [C].

    Returns:
      f64 [B, C], whose rows sum to 1.
    """
    _, places, sizes = np.unique(seeds, return_inverse=True, return_counts=True)
    return times / (sizes[places] * len(sizes))


def mean_points(weights: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Weighted means over clients: f64 [B, T, 2] of [B, C] and [C, T, 2]."""
    flat = scores.reshape(len(scores), -1)
    return (weights @ flat).reshape(len(weights), *scores.shape[1:])


def percentiles(
    estimate: float, drawn: np.ndarray, level: float = LEVEL
) -> tuple[float, float]:
    """The ends of an interval: percentiles of the resamples' statistics.

    Resamples whose statistic is NaN are left out.

    Args:
      estimate: the statistic itself; no interval where it is NaN.
      drawn: f64 [B], the statistic of each resample.
      level: the share of the resamples between the ends.
    """
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(estimate) or not drawn.size:
        return math.nan, math.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked(
    scores: ArrayLike, seeds: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    scores, seeds = np.asarray(scores, float), np.asarray(seeds)
    if scores.ndim != 3 or scores.shape[2] != 2:
        raise ValueError(
            f'scores of shape {scores.shape} must be [C, T, 2]: the local and '
            'the global scores of C clients at T prompts.'
        )
    if seeds.shape != scores.shape[:1]:
        raise ValueError(
            f'seeds of shape {seeds.shape} must be [{len(scores)}]: one for '
            'each client in scores.'
        )
    return scores, seeds
