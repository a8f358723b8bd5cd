"""How well chosen answers agree with the right ones: `evaluation.metric`."""

from collections.abc import Callable

import numpy as np


def accuracy(chosen: np.ndarray, right: np.ndarray) -> float:
    """Share of equal answers."""
    return float(np.mean(chosen == right))


def matthews(chosen: np.ndarray, right: np.ndarray) -> float:
    """Matthews' correlation, of any number of classes (Gorodkin 2004).

    0 where one of the two is always the same class, as scikit-learn has it.

        >>> right = np.array([1, 1, 1, 0])
        >>> print(f'{matthews(np.array([1, 1, 0, 0]), right):.4f}')
        0.5774
    """
    classes = np.union1d(chosen, right)
    # One column a class: a correlation over all of them together.
    x, y = chosen[:, None] == classes, right[:, None] == classes
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    spread = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / spread) if spread else 0.0


def f1(chosen: np.ndarray, right: np.ndarray) -> float:
    """F1 of class 1, the second of config.data.labels; 0 without a hit."""
    hits = np.sum((chosen == 1) & (right == 1))
    either = np.sum(chosen == 1) + np.sum(right == 1)
    return float(2 * hits / either) if either else 0.0


def accuracy_f1(chosen: np.ndarray, right: np.ndarray) -> float:
    """The mean of accuracy and F1: MRPC's."""
    return (accuracy(chosen, right) + f1(chosen, right)) / 2


# (chosen classes int [n], right classes int [n]) -> score, 1 is best.
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    'accuracy': accuracy,
    'matthews': matthews,
    'accuracy_f1': accuracy_f1,
}
