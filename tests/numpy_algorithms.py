"""Algorithms once more, in NumPy, a client and a step at a time.

They know nothing of banks, Optax or JAX: `gradient(x, batch)` is the gradient
of one client's loss at x, a float64 array, on one batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Gradient = Callable[[np.ndarray, Any], np.ndarray]
# Of a round: client -> its batches.
Round = dict[int, Sequence[Any]]


def scaffold(
    gradient: Gradient,
    x: np.ndarray,
    rounds: Sequence[Round],
    rate: float,
    server_rate: float,
    population: int,
    option: str,
) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """x, c and the c_i after SCAFFOLD's rounds (1910.06378, algorithm 1)."""
    c, kept = np.zeros_like(x), {}
    for one in rounds:
        moves, changes = [], []
        for client, batches in one.items():
            own, y = kept.get(client, np.zeros_like(x)), x.copy()
            for batch in batches:
                y = y - rate * (gradient(y, batch) - own + c)
            if option == 'I':
                everything = [e for batch in batches for e in batch]
                new = gradient(x, everything)
            else:
                new = own - c + (x - y) / (len(batches) * rate)
            moves.append(y - x)
            changes.append(new - own)
            kept[client] = new
        x = x + server_rate * np.mean(moves, axis=0)
        c = c + len(one) / population * np.mean(changes, axis=0)
    return x, c, kept


def ditto(
    gradient: Gradient,
    x: np.ndarray,
    rounds: Sequence[Round],
    rate: float,
    server_rate: float,
    personal_rate: float,
    strength: float,
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """x and the v_i after Ditto's rounds (2012.04221, algorithm 1)."""
    kept: dict[int, np.ndarray] = {}
    for one in rounds:
        moves = []
        for client, batches in one.items():
            v, y = kept.get(client, x).copy(), x.copy()
            for batch in batches:
                y = y - rate * gradient(y, batch)
                pull = strength * (v - x)
                v = v - personal_rate * (gradient(v, batch) + pull)
            moves.append(y - x)
            kept[client] = v
        x = x + server_rate * np.mean(moves, axis=0)
    return x, kept


def per_fedavg(
    gradient: Gradient,
    x: np.ndarray,
    rounds: Sequence[Round],
    rate: float,
    server_rate: float,
    inner_rate: float,
    delta: float,
    variant: str,
) -> np.ndarray:
    """x after Per-FedAvg's rounds (2002.07948, algorithm 1 and section 5)."""
    size = {'fo': 2, 'hf': 3}[variant]
    for one in rounds:
        moves = []
        for batches in one.values():
            y = x.copy()
            for i in range(0, len(batches), size):
                ahead = y - inner_rate * gradient(y, batches[i])
                g = gradient(ahead, batches[i + 1])
                step = g
                if variant == 'hf':
                    third = batches[i + 2]
                    plus = gradient(y + delta * g, third)
                    minus = gradient(y - delta * g, third)
                    step = g - inner_rate * (plus - minus) / (2 * delta)
                y = y - rate * step
            moves.append(y - x)
        x = x + server_rate * np.mean(moves, axis=0)
    return x
