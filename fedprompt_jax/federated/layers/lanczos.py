"""The spectrum of a matrix of which only products with vectors are known."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Product = Callable[[jax.Array], Any]  # vector f32 [n] -> a matrix times it


class Quadrature(NamedTuple):
    """Nodes and weights of stochastic Lanczos quadrature.

    Attributes:
      nodes: f64 [k], eigenvalues of the tridiagonal matrix, ascending.
      weights: f64 [k], not below 0, sum 1: the share of the spectrum at each.
    """

    nodes: np.ndarray
    weights: np.ndarray


class Ritz(NamedTuple):
    """Eigenvalues as Lanczos sees them, and how far off each can be.

    Attributes:
      values: f64 [k], of the tridiagonal matrix, ascending.
      bounds: f64 [k], not below 0: an eigenvalue of the matrix lies within
        this distance of each value.
    """

    values: np.ndarray
    bounds: np.ndarray


def quadrature(product: Product, start: np.ndarray, steps: int) -> Quadrature:
    """The spectrum of a symmetric matrix as one probe sees it.

    Ghorbani et al. (2019, 1901.10159), algorithm 1, with one probe.

    Args:
      product: vector f32 [n] -> the matrix times it.
      start: f64 [n], the probe; its length does not matter.
      steps: k, most products that are taken.
    """
    tridiagonal, _ = _tridiagonal(product, start, steps)
    nodes, vectors = np.linalg.eigh(tridiagonal)
    return Quadrature(nodes, vectors[0] ** 2)


def ritz(product: Product, start: np.ndarray, steps: int) -> Ritz:
    """Approximate eigenvalues of a symmetric matrix; both ends come first.

    The bound of a value is the norm of its residual, |A y - value y|, which is
    the length of the next direction times the last entry of the eigenvector
    (Parlett, The Symmetric Eigenvalue Problem, section 13.2). It holds but for
    the rounding of the products.

    Args:
      product: vector f32 [n] -> the matrix times it.
      start: f64 [n], not orthogonal to what is looked for.
      steps: k, most products that are taken.
    """
    tridiagonal, rest = _tridiagonal(product, start, steps)
    values, vectors = np.linalg.eigh(tridiagonal)
    return Ritz(values, rest * np.abs(vectors[-1]))


def _tridiagonal(
    product: Product, start: np.ndarray, steps: int
) -> tuple[np.ndarray, float]:
    """The matrix in Lanczos's basis f64 [k, k], and the next one's length.

    Lanczos with full re-orthogonalisation: each new direction is made
    orthogonal to all before it, twice, without which f32 finds the largest
    eigenvalues again and again. It ends early where the directions that the
    matrix makes of the start are exhausted; the next one's length is 0 then.

    Args:
      product: vector f32 [n] -> the matrix times it.
      start: f64 [n], the probe; its length does not matter.
      steps: most products that are taken.
    """
    basis = jnp.zeros((min(steps, len(start)), len(start)), jnp.float32)
    vector = jnp.asarray(start / np.linalg.norm(start), jnp.float32)
    diagonal: list[float] = []
    beside: list[float] = []
    for step in range(len(basis)):
        basis = basis.at[step].set(vector)
        image = jnp.asarray(product(vector))
        diagonal.append(float(image @ vector))
        image = _orthogonal(basis, image)
        length = float(jnp.linalg.norm(image))
        scale = max(map(abs, [*diagonal, *beside]))
        if length <= 1e-6 * scale:  # nothing new: rounding alone is left
            beside.append(0.0)
            break
        beside.append(length)
        vector = image / length
    size = len(diagonal)
    tridiagonal = np.diag(np.array(diagonal))
    for i, value in enumerate(beside[: size - 1]):
        tridiagonal[i, i + 1] = tridiagonal[i + 1, i] = value
    return tridiagonal, beside[-1]


@jax.jit
def _orthogonal(basis: jax.Array, vector: jax.Array) -> jax.Array:
    """The vector without its parts along the rows of basis; 0 rows are none."""
    for _ in range(2):
        vector = vector - basis.T @ (basis @ vector)
    return vector
