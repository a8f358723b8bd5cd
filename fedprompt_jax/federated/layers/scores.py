"""How much a layer matters: FedPepTAO's scores of layers.

arXiv 2310.15080; what is computed is what the released code computes. The
frozen model reads one batch of a device. For layer l, H_l[i] are the hidden
states of example i, flattened; K_l is a matrix of how alike examples are there;
its eigenvalues make the score. All in f64: with 1 / (eigenvalue + 1e-5) the
smallest ones count most.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.mesh import to_host

EPSILON = 1e-5  # added to every eigenvalue


def cosines(rows: jax.Array) -> jax.Array:
    """Cosines between examples, rows [B, n]: FedPepTAO's own."""
    unit = rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T


def agreements(rows: jax.Array) -> jax.Array:
    """The number of places where two examples have the same sign."""
    signs = jnp.where(rows > 0, 1.0, -1.0)
    return (rows.shape[1] + signs @ signs.T) / 2


def l1_distances(rows: jax.Array) -> jax.Array:
    """The sum of absolute differences of two examples."""
    return jax.lax.map(lambda row: jnp.abs(rows - row).sum(axis=1), rows)


def l2_distances(rows: jax.Array) -> jax.Array:
    """The Euclidean distance of two examples."""
    return jax.lax.map(
        lambda row: jnp.sqrt(((rows - row) ** 2).sum(axis=1)), rows
    )


def spectral(kernel: np.ndarray) -> float:
    """The sum of ln e + 1 / e over eigenvalues e, clipped at 0, plus 1e-5.

    >>> print(f'{spectral(np.eye(2)):.4f}')
    2.0000
    """
    values = np.maximum(np.linalg.eigvalsh(kernel), 0.0) + EPSILON
    return float((np.log(values) + 1 / values).sum())


def spectral_nearness(distances: np.ndarray) -> float:
    """`spectral` of the largest distance less each distance."""
    return spectral(distances.max() - distances)


def log_determinant(kernel: np.ndarray) -> float:
    """ln det, eigenvalues clipped at 0, plus 1e-5: NASWOT's score."""
    values = np.maximum(np.linalg.eigvalsh(kernel), 0.0) + EPSILON
    return float(np.log(values).sum())


# Name -> (matrix [B, B] of rows [B, n], score of a matrix). 'naswot' is
# Mellor et al. (2021, 2006.04647), of hidden states in place of ReLUs.
Measure = tuple[Callable[[jax.Array], jax.Array], Callable[[np.ndarray], float]]
MEASURES: dict[str, Measure] = {
    'cosine': (cosines, spectral),
    'naswot': (agreements, log_determinant),
    'l1': (l1_distances, spectral_nearness),
    'l2': (l2_distances, spectral_nearness),
}
RANDOM = 'random'  # no measure: layers in a drawn order
ORDERS = ('largest', 'smallest')


def matrices(states: jax.Array, devices: int, measure: str) -> np.ndarray:
    """How alike each device's examples are in each layer.

    Args:
      states: f32 [layers, devices * B, S, D], device by device, on
        accelerators; they stay there.
      devices: how many.
      measure: a key of MEASURES.

    Returns:
      f64 [layers, devices, B, B], on the host.
    """
    with jax.enable_x64(True):
        return to_host(_matrices(states, devices, measure))


@functools.partial(jax.jit, static_argnames=('devices', 'measure'))
def _matrices(states: jax.Array, devices: int, measure: str) -> jax.Array:
    matrix, _ = MEASURES[measure]
    layers, rows = states.shape[:2]

    def layer(x):  # [devices, B, S * D]; one layer at a time is in f64
        return jax.lax.map(lambda one: matrix(one.astype(jnp.float64)), x)

    shape = layers, devices, rows // devices, -1
    return jax.lax.map(layer, states.reshape(shape))


def device_scores(alike: np.ndarray, measure: str) -> np.ndarray:
    """The score f64 [layers] of every layer by one device's batch.

    The last layer has none, as in the released code: it is 0.

    Args:
      alike: f64 [layers, B, B], see matrices.
      measure: a key of MEASURES.
    """
    _, score = MEASURES[measure]
    return np.array([*(score(kernel) for kernel in alike[:-1]), 0.0])


def ranking(scores: np.ndarray, order: str) -> np.ndarray:
    """Layers, the most important first, int64 [layers]; the last layer last.

    Args:
      scores: f64 [layers].
      order: 'largest' scores first, as the released code has it, or
        'smallest': the sign of zero-cost scores in architecture search.

        >>> print(ranking(np.array([3.0, 7.0, 5.0, 0.0]), 'smallest'))
        [0 2 1 3]
    """
    signed = -scores if order == 'largest' else scores
    scored = np.argsort(signed[:-1], kind='stable')
    return np.append(scored, len(scores) - 1)


def choose(ranks: np.ndarray, candidates: list[int], share: float) -> list[int]:
    """The candidates that travel, ascending: a share of them, rounded up.

    Args:
      ranks: layers, the most important first.
      candidates: layers that have something to send.
      share: in (0, 1].

        >>> choose(np.array([3, 1, 0, 2]), [0, 1, 2], 0.5)
        [0, 1]
    """
    ranked = [int(layer) for layer in ranks if layer in candidates]
    return sorted(ranked[: count(len(candidates), share)])


def count(candidates: int, share: float) -> int:
    """How many layers a share is, rounded up, at least one.

    A product that is a whole number but for rounding, such as 0.3 (f32) of 10,
    is that number.
    """
    return max(1, int(np.ceil(round(share * candidates, 4))))
