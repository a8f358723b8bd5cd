"""How unlike clients' gradients are, and their prompts."""

from typing import NamedTuple

import numpy as np


class Gradients(NamedTuple):
    """How unlike the gradients of C clients are at one point.

    g_i is the mean of a client's two halves, g the mean over clients.

    Attributes:
      clients: C, those with finite gradients.
      norm: |g|.
      dispersion: mean |g_i - g|^2 / |g|^2.
      noise: the part of it that is expected of sampling examples alone, were
        all clients alike; estimated from the halves.
      corrected: an estimate of E |g_i - E g|^2 / |E g|^2 over the population
        of clients, each with endless examples; NaN where the mean gradient is
        not above its own noise. It can be below 0.
      cosine: mean over pairs of clients of cos(g_i, g_j).
      cosine_halves: mean over clients of the cosine of their two halves, which
        two clients with the same distribution would have too.
    """

    clients: int
    norm: float
    dispersion: float
    noise: float
    corrected: float
    cosine: float
    cosine_halves: float


class Prompts(NamedTuple):
    """How far C clients have moved from one point, and from each other.

    Attributes:
      clients: C, those with finite prompts.
      moved: mean |P_i - P| / |P|.
      dispersion: mean |P_i - mean P_i| / |P|.
      cosine: mean over pairs of clients of cos(P_i - P, P_j - P).
    """

    clients: int
    moved: float
    dispersion: float
    cosine: float


def of_gradients(halves: np.ndarray) -> Gradients:
    """The dispersion of clients' gradients, with what sampling adds to it.

    A half a_i of n examples is the client's gradient and noise. The noise of
    g_i = (a_i + b_i) / 2 has the expected square |a_i - b_i|^2 / 4. With s^2
    the sum of |g_i - g|^2 over C - 1, and e^2 the mean of that noise,

        corrected = (s^2 - e^2) / (|g|^2 - s^2 / C)

    whose numerator and denominator are unbiased; the quotient is not.

    Args:
      halves: float [C, 2, n], the gradients of two halves of a client's
        examples, drawn independently; a client that is not finite is left out.
    """
    halves = halves[np.isfinite(halves).all(axis=(1, 2))].astype(np.float64)
    count = len(halves)
    nan = float('nan')
    if not count:
        return Gradients(0, nan, nan, nan, nan, nan, nan)
    each = halves.mean(axis=1)  # [C, n]
    mean = each.mean(axis=0)
    square = float(mean @ mean)
    spread = float(((each - mean) ** 2).sum(axis=1).mean())
    between = halves[:, 0] - halves[:, 1]
    noise = float((between**2).sum(axis=1).mean()) / 4
    share, corrected = (count - 1) / count, nan
    if count > 1:
        signal = square - spread / (count - 1)
        if signal > 0:
            corrected = (spread / share - noise) / signal
    own = _units(halves[:, 0]) * _units(halves[:, 1])
    return Gradients(
        clients=count,
        norm=square**0.5,
        dispersion=_ratio(spread, square),
        noise=_ratio(share * noise, square),
        corrected=corrected,
        cosine=mean_cosine(each),
        cosine_halves=_mean(own.sum(axis=1)),
    )


def of_prompts(prompts: np.ndarray, start: np.ndarray) -> Prompts:
    """How far prompts lie from their start, and from their mean.

    Args:
      prompts: float [C, n]; a client that is not finite is left out.
      start: float [n], the prompt that all of them started from.
    """
    prompts = prompts[np.isfinite(prompts).all(axis=1)].astype(np.float64)
    start = start.astype(np.float64)
    moves, scale = prompts - start, float(np.linalg.norm(start))
    if not len(prompts):
        return Prompts(0, *[float('nan')] * 3)
    apart = prompts - prompts.mean(axis=0)
    return Prompts(
        clients=len(prompts),
        moved=_ratio(_mean(np.linalg.norm(moves, axis=1)), scale),
        dispersion=_ratio(_mean(np.linalg.norm(apart, axis=1)), scale),
        cosine=mean_cosine(moves),
    )


def mean_cosine(vectors: np.ndarray) -> float:
    """The mean over pairs i < j of cos(v_i, v_j); NaN for fewer than two.

        >>> mean_cosine(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]))
        0.3333333333333333

    Args:
      vectors: float64 [C, n]; those of length 0 have no direction and are left
        out.
    """
    units = _units(vectors)
    units = units[np.isfinite(units).all(axis=1)]
    count = len(units)
    if count < 2:
        return float('nan')
    # |sum u_i|^2 holds each pair twice, and C ones.
    total = units.sum(axis=0)
    return float(total @ total - count) / (count * (count - 1))


def _units(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1; NaN where the length is 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths[lengths == 0] = np.nan
    return vectors / lengths


def _ratio(value: float, scale: float) -> float:
    return value / scale if scale > 0 else float('nan')


def _mean(values: np.ndarray) -> float:
    """The mean of those that are not NaN; NaN of none."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float('nan')
