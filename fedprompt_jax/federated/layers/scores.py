"""How much a layer matters: FedPepTAO's scores of layers.

arXiv 2310.15080; what is computed is what the released code computes. The
frozen model reads one batch of a device. For layer l, H_l[i] are the hidden
states of example i, flattened; K_l is a matrix of how alike examples are there;
its eigenvalues make the score. All in f64: with 1 / (eigenvalue + 1e-5) the
smallest ones count most.
"""

from collections.abc import Callable

import numpy as np

EPSILON = 1e-5  # added to every eigenvalue


def cosine(states: np.ndarray) -> np.ndarray:
    """Cosines between examples: FedPepTAO's own."""
    norms = np.linalg.norm(states, axis=1, keepdims=True)
    unit = states / norms
    return unit @ unit.T


def l1(states: np.ndarray) -> np.ndarray:
    """The largest l1 distance of two examples, less their distance."""
    return _nearness(np.abs(states[:, None] - states[None]).sum(axis=2))


def l2(states: np.ndarray) -> np.ndarray:
    """The largest l2 distance of two examples, less their distance."""
    return _nearness(np.linalg.norm(states[:, None] - states[None], axis=2))


def agreement(states: np.ndarray) -> np.ndarray:
    """The number of places where two examples have the same sign."""
    signs = np.where(states > 0, 1.0, -1.0)
    return (states.shape[1] + signs @ signs.T) / 2


def spectral(kernel: np.ndarray) -> float:
    """The sum of ln e + 1 / e over eigenvalues e, clipped at 0, plus 1e-5.

        >>> print(f'{spectral(np.eye(2)):.4f}')
        2.0000
    """
    values = np.maximum(np.linalg.eigvalsh(kernel), 0.0) + EPSILON
    return float((np.log(values) + 1 / values).sum())


def log_determinant(kernel: np.ndarray) -> float:
    """ln det, eigenvalues clipped at 0, plus 1e-5: NASWOT's score."""
    values = np.maximum(np.linalg.eigvalsh(kernel), 0.0) + EPSILON
    return float(np.log(values).sum())


# Name -> (kernel of states [B, n], score of a kernel [B, B]). 'naswot' is
# Mellor et al. (2021, 2006.04647), of hidden states in place of ReLUs.
Measure = tuple[
    Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], float]
]
MEASURES: dict[str, Measure] = {
    'cosine': (cosine, spectral),
    'naswot': (agreement, log_determinant),
    'l1': (l1, spectral),
    'l2': (l2, spectral),
}
RANDOM = 'random'  # no measure: layers in a drawn order
ORDERS = ('largest', 'smallest')


def device_scores(states: np.ndarray, measure: str) -> np.ndarray:
    """The score f64 [layers] of every layer by one device's batch.

    The last layer has none, as in the released code: it is 0.

    Args:
      states: f32 [layers, B, S, D], padding included.
      measure: a key of MEASURES.
    """
    kernel, score = MEASURES[measure]
    scores = np.zeros(len(states))
    for layer, rows in enumerate(states[:-1]):
        flat = rows.reshape(len(rows), -1).astype(np.float64)
        scores[layer] = score(kernel(flat))
    return scores


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


def _nearness(distances: np.ndarray) -> np.ndarray:
    return distances.max() - distances
