"""One number for a set of (local, global) points: how good a trade-off is.

Points are f64 [..., T, 2]: the local and the global score of T prompts. Both
are better when larger, so a loss must be negated. Leading axes are those of a
bootstrap's resamples. A point with a score that is not finite counts as absent.
"""

import numpy as np
from numpy.typing import ArrayLike

# Two means of equal numbers may differ by rounding; scores are of 0 to 100.
_ROUNDING = 1e-9


def pareto_front(points: ArrayLike) -> np.ndarray:
    """Which points no other point beats.

    A point beats another if it is at least as good in both scores, and better
    in one. Points that are equal do not beat each other.

        >>> pareto_front([[1, 3], [2, 2], [1, 2], [3, 1]])
        array([ True,  True, False,  True])

    Args:
      points: f64 [..., T, 2].

    Returns:
      bool [..., T]; False for an absent point.
    """
    points = _points(points)
    local, above = points[..., 0], points[..., 1]
    # [..., T, T]: does the point of the last axis beat that of the axis before?
    x, other_x = local[..., :, None], local[..., None, :]
    y, other_y = above[..., :, None], above[..., None, :]
    as_good = (other_x >= x) & (other_y >= y)
    better = (other_x > x) | (other_y > y)
    present = np.isfinite(points).all(-1)
    beaten = (as_good & better & present[..., None, :]).any(-1)
    return present & ~beaten


def hypervolume(points: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """The area of all scores that are beaten by a point and beat the reference.

    It is the hypervolume indicator of Zitzler and Thiele (1998) for two
    objectives. A point that is below the reference in a score is moved up to
    it, and adds nothing.

        >>> float(hypervolume([[2, 1], [1, 2]], [0, 0]))
        3.0

    Args:
      points: f64 [..., T, 2].
      reference: f64 [..., 2], such as the scores of the bare model.

    Returns:
      f64 [...], in squared units of the scores: of ROUGE-L x 100, 0 to 10,000.
      0 where no point is present, NaN where the reference is not finite.
    """
    points, reference = _points(points), np.asarray(reference, float)
    beyond = points - reference[..., None, :]
    present = np.isfinite(points).all(-1, keepdims=True)
    beyond = np.where(present, np.maximum(beyond, 0), 0)
    order = np.argsort(-beyond[..., 0], axis=-1)  # from the right to the left
    width = np.take_along_axis(beyond[..., 0], order, -1)
    height = np.take_along_axis(beyond[..., 1], order, -1)
    # A strip reaches from one point to the next one on the left, and is as high
    # as the best global score on its right.
    next_width = np.concatenate(
        [width[..., 1:], np.zeros_like(width[..., :1])], axis=-1
    )
    area = ((width - next_width) * np.maximum.accumulate(height, -1)).sum(-1)
    return np.where(np.isfinite(reference).all(-1), area, np.nan)


def area_under(points: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """The area between a trajectory and the reference's global score.

    It is the integral of (global - reference) over the local score along the
    trajectory, by trapezoids. It has a sign: what lies below the reference, and
    a step back to a lower local score, is subtracted.

        >>> float(area_under([[0, 2], [1, 2], [2, 1]], [0, 1]))
        1.5

    Args:
      points: f64 [..., T, 2] in the order of the trajectory, such as epochs.
      reference: f64 [..., 2], of which the global score alone is read.

    Returns:
      f64 [...], in squared units of the scores; 0 for one point, NaN where a
      point is absent.
    """
    points, reference = _points(points), np.asarray(reference, float)
    height = points[..., 1] - reference[..., 1][..., None]
    steps = np.diff(points[..., 0], axis=-1)
    area = (steps * (height[..., 1:] + height[..., :-1]) / 2).sum(-1)
    present = np.isfinite(points).all((-1, -2))
    return np.where(present, area, np.nan)


def best_local(points: ArrayLike, least_global: ArrayLike) -> np.ndarray:
    """The highest local score of the points with enough global score.

        >>> float(best_local([[1, 3], [2, 2], [3, 1]], 2))
        2.0

    Args:
      points: f64 [..., T, 2].
      least_global: f64 [...], the global score that a point must have, such as
        that of the global prompt. A score is enough if rounding alone (1e-9)
        separates it.

    Returns:
      f64 [...]; NaN where no point has it.
    """
    points = _points(points)
    least = np.asarray(least_global, float)[..., None] - _ROUNDING
    enough = points[..., 1] >= least
    allowed = enough & np.isfinite(points).all(-1)
    best = np.where(allowed, points[..., 0], -np.inf).max(-1, initial=-np.inf)
    return np.where(np.isfinite(best), best, np.nan)


def _points(points: ArrayLike) -> np.ndarray:
    points = np.asarray(points, float)
    if points.ndim < 2 or points.shape[-1] != 2:
        raise ValueError(
            f'points of shape {points.shape} must be [..., T, 2]: the local '
            'and the global score of T prompts.'
        )
    return points
