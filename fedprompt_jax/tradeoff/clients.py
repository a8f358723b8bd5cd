"""What a mean over clients hides: deciles, clients that lose, the worst one.

Scores are f64 [C, 2]: the local and the global score of C clients, before or
after personalization. Clients with a score that is not finite are left out.
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fedprompt_jax.tradeoff import bootstrap
from fedprompt_jax.tradeoff.bootstrap import Interval

DECILES = (10, 50, 90)  # percent of the clients that score less
AXES = ('local', 'global')
# Two means of equal numbers may differ by rounding; scores are of 0 to 100.
_ROUNDING = 1e-9


class Worst(NamedTuple):
    """The client whose score changes for the worst.

    It has no interval: the least of a sample of clients lies above that of all
    clients, however often the sample is drawn again.

    Attributes:
      place: the client's place in the arrays; -1 for no client.
      change: after - before, in units of the score; NaN for no client.
    """

    place: int
    change: float


def deciles(
    scores: ArrayLike, seeds: ArrayLike
) -> dict[tuple[str, int], Interval]:
    """Percentiles over the clients of all seeds, each axis by itself.

    As in Profit's figure 18, the client at the tenth percentile of the local
    scores is not the one at that of the global scores. Between two clients a
    percentile is interpolated.

        >>> scores = [[1, 5], [2, 5], [3, 5]]
        >>> deciles(scores, [0, 0, 0])['local', 50].estimate
        2.0

    Args:
      scores: f64 [C, 2].
      seeds: int [C], the seed of each client.

    Returns:
      (axis, percent) -> the percentile with its 95 % bootstrap interval.
    """
    return _deciles([scores], seeds, lambda found: found[0])


def decile_changes(
    before: ArrayLike, after: ArrayLike, seeds: ArrayLike
) -> dict[tuple[str, int], Interval]:
    """Percentiles after personalization minus those before it, paired.

    It is a difference of two percentiles, not a percentile of differences: the
    client at the tenth percentile may be another one afterwards.

    Args:
      before: f64 [C, 2].
      after: f64 [C, 2].
      seeds: int [C].

    Returns:
      As `deciles`.
    """
    return _deciles([before, after], seeds, lambda found: found[1] - found[0])


def hurt(
    before: ArrayLike, after: ArrayLike, seeds: ArrayLike
) -> dict[str, Interval]:
    """The share of clients whose score falls: axis -> interval of 0 to 1.

        >>> found = hurt([[1, 5], [2, 5]], [[2, 4], [1, 4]], [0, 0])
        >>> found['local'].estimate, found['global'].estimate
        (0.5, 1.0)

    Args:
      before: f64 [C, 2].
      after: f64 [C, 2].
      seeds: int [C].
    """
    before, after = np.asarray(before, float), np.asarray(after, float)
    # A client without a score is neither hurt nor not: it stays NaN.
    change = after - before
    fallen = np.where(np.isfinite(change), change < -_ROUNDING, np.nan)
    return bootstrap.intervals(
        {
            axis: lambda points, i=i: points[:, 0, i]  # type: ignore[misc]
            for i, axis in enumerate(AXES)
        },
        fallen[:, None],
        seeds,
    )


def worst(before: ArrayLike, after: ArrayLike) -> dict[str, Worst]:
    """The client that loses the most on each axis: axis -> client and change.

    Args:
      before: f64 [C, 2].
      after: f64 [C, 2].
    """
    change = np.asarray(after, float) - np.asarray(before, float)
    whole = np.isfinite(change).all(1)
    if not whole.any():
        return {axis: Worst(-1, math.nan) for axis in AXES}
    places = np.where(whole[:, None], change, np.inf).argmin(0)
    return {
        axis: Worst(int(place), float(change[place, i]))
        for i, (axis, place) in enumerate(zip(AXES, places, strict=True))
    }


def quantile(values: ArrayLike, times: ArrayLike, share: float) -> np.ndarray:
    """A quantile of resamples: np.quantile of each value so many times.

        >>> quantile([3.0, 1.0, 2.0], [[1, 1, 1], [2, 0, 0]], 0.5)
        array([2., 3.])

    Args:
      values: f64 [C].
      times: int [B, C], how often a resample has each value; at least one.
      share: 0 to 1.

    Returns:
      f64 [B], with NumPy's linear interpolation.
    """
    values, times = np.asarray(values, float), np.asarray(times)
    order = values.argsort()
    values, upto = values[order], times[:, order].cumsum(1)  # upto: [B, C]
    place = (upto[:, -1] - 1) * share  # among the sorted values, from 0
    low = np.floor(place)
    # The first value with more than so many at or below it.
    first = (upto > low[:, None]).argmax(1)
    second = (upto > np.ceil(place)[:, None]).argmax(1)
    part = place - low
    return values[first] * (1 - part) + values[second] * part


def _deciles(columns: Sequence[ArrayLike], seeds: ArrayLike, combine):
    scores = np.stack([np.asarray(c, float) for c in columns])  # [N, C, 2]
    seeds = np.asarray(seeds)
    whole = np.isfinite(scores).all((0, 2))
    kept = scores[:, whole]

    def values(times):
        return {
            f'{i} {percent}': combine(
                [quantile(one[:, i], times, percent / 100) for one in kept]
            )
            for i in range(len(AXES))
            for percent in DECILES
        }

    dropped = int((~whole).sum())
    found = bootstrap.of_counts(values, seeds[whole], dropped=dropped)
    nothing = Interval(math.nan, math.nan, math.nan, 0, 0, dropped)
    return {
        (axis, percent): found.get(f'{i} {percent}', nothing)
        for i, axis in enumerate(AXES)
        for percent in DECILES
    }
