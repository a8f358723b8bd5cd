"""How many layers are enough, read from the spectrum of a loss's Hessian.

FedPepTAO's 'lossless' ratio, as its released code estimates it (the paper
speaks of a gap between eigenvalues, which the code does not look for): the
share of the spectrum above a threshold, where raising the threshold has
stopped to change it.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from fedprompt_jax.federated.layers.lanczos import Quadrature

BINS = 10_000  # of the density
SMOOTHING = 1e-5  # variance of a node, as a share of the spectrum's width
FLAT, IN_A_ROW = 0.005, 4  # values that differ by less are a plateau
STEP, HALVINGS = 0.1, 60


class Density(NamedTuple):
    """A smoothed spectrum on a grid.

    Attributes:
      values: f64 [BINS], ascending.
      mass: f64 [BINS], the share of the spectrum at each, sum 1.
    """

    values: np.ndarray
    mass: np.ndarray

    def above(self, threshold: float) -> float:
        """The share of the spectrum above a threshold."""
        return float(self.mass[self.values > threshold].sum())


def density(spectrum: Quadrature) -> Density:
    """The spectrum with a normal density in place of each node."""
    low, high = spectrum.nodes[0], spectrum.nodes[-1]
    deviation = np.sqrt(SMOOTHING * max(1.0, high - low))
    margin = 10 * deviation  # nothing of the outermost nodes is cut off
    values = np.linspace(low - margin, high + margin, BINS)
    parts = norm.pdf(values[:, None], spectrum.nodes, deviation)
    mass = parts @ spectrum.weights
    return Density(values, mass / mass.sum())


def plateau(spectrum: Quadrature) -> float:
    """The share above the first threshold from which it stays the same.

    Thresholds rise from 0 by steps of 0.1. The first four shares in a row that
    differ by less than 0.005 end the search; their last is the result. Where
    the share first falls below half of that at 0, the steps were too coarse:
    they are halved, and the search starts again.

    Half of this spectrum lies at 0 and half at 1:

        >>> half = Quadrature(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
        >>> print(f'{plateau(half):.2f}')
        0.50
    """
    smooth, step = density(spectrum), STEP
    for _ in range(HALVINGS):
        values: list[float] = []
        for number in itertools.count():
            value = smooth.above(number * step)
            values.append(value)
            last = values[-IN_A_ROW:]
            if len(last) == IN_A_ROW and max(last) - min(last) < FLAT:
                return values[-1]
            if value < values[0] / 2:
                break
        step /= 2
    return values[0]
