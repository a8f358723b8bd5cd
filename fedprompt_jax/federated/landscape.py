"""The loss around a prompt: along directions, and its curvature.

The objective is the mean over C clients of each client's loss on its examples,
with the same prompt for all. All clients are computed in one packed call.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fedprompt_jax.bank.flat import tree_of, vector_of
from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated.algorithm import Simulation
from fedprompt_jax.federated.layers import lanczos
from fedprompt_jax.mesh import to_host


class Objective(NamedTuple):
    """The mean loss of C clients as a function of one prompt, a vector f64 [n].

    Attributes:
      simulation: computes the clients.
      examples: of owners 0 ... C - 1, one or more of each.
      owners: C.
      like: a tree with the shapes and dtypes of what is trained.
      place: places a tree of the host on the devices.
    """

    simulation: Simulation
    examples: Sequence[Example]
    owners: int
    like: Any
    place: Callable[[Any], Any]

    def losses(self, vector: np.ndarray) -> np.ndarray:
        """The loss of each client, f64 [C]."""
        losses = self.simulation.losses(self._bank(vector), self.examples)
        return to_host(losses).astype(np.float64)

    def gradient(self, vector: np.ndarray) -> np.ndarray:
        """The gradient of the mean loss, f64 [n]."""
        _, grads = self.simulation.gradients(self._bank(vector), self.examples)
        return self._mean(grads)

    def hessian_product(
        self, vector: np.ndarray, tangent: np.ndarray
    ) -> np.ndarray:
        """The Hessian of the mean loss times a tangent f [n], f64 [n]."""
        products = self.simulation.hessian_products(
            self._bank(vector), self._bank(tangent), self.examples
        )
        return self._mean(products)

    def _bank(self, vector: np.ndarray):
        return replicate(self.place(tree_of(vector, self.like)), self.owners)

    def _mean(self, bank) -> np.ndarray:
        return vector_of(jax.tree.map(lambda x: x.mean(axis=0), bank))


def curve(
    objective: Objective,
    center: np.ndarray,
    direction: np.ndarray,
    at: np.ndarray,
) -> np.ndarray:
    """Losses along a line through the center, f64 [T, C].

    Args:
      objective: C clients.
      center: f64 [n].
      direction: f64 [n], scaled to the length of the center.
      at: float [T], places: 1 is as far from the center as that is from 0.
    """
    step = scaled(direction, float(np.linalg.norm(center)))
    return np.stack([objective.losses(center + t * step) for t in at])


def scaled(direction: np.ndarray, length: float) -> np.ndarray:
    """The direction with another length; zeros stay zeros."""
    norm = np.linalg.norm(direction)
    return direction * (length / norm) if norm else direction


class Extremes(NamedTuple):
    """The ends of a Hessian's spectrum.

    Attributes:
      largest: the k largest eigenvalues, the largest first.
      largest_bounds: an eigenvalue lies within this distance of each.
      smallest: the k smallest, the smallest first.
      smallest_bounds: likewise.
      steps: of Lanczos; fewer than asked for where nothing new came.
    """

    largest: list[float]
    largest_bounds: list[float]
    smallest: list[float]
    smallest_bounds: list[float]
    steps: int


def extremes(
    objective: Objective,
    center: np.ndarray,
    start: np.ndarray,
    steps: int,
    count: int,
) -> Extremes:
    """Leading eigenvalues of the objective's Hessian, both ends, by Lanczos.

    Args:
      objective: C clients.
      center: f64 [n], where the Hessian is taken.
      start: f64 [n], a random vector.
      steps: products with the Hessian.
      count: k at each end; of fewer steps all are at both ends.
    """

    def product(vector: jax.Array) -> np.ndarray:
        made = objective.hessian_product(center, np.asarray(vector))
        return made.astype(np.float32)

    found = lanczos.ritz(product, start, steps)
    values, bounds = found.values.tolist(), found.bounds.tolist()
    return Extremes(
        values[::-1][:count],
        bounds[::-1][:count],
        values[:count],
        bounds[:count],
        len(values),
    )
