"""Algorithms once more, in NumPy, a client and a step at a time.

They know nothing of banks, Optax or JAX: `gradient(x, batch)` is the gradient
of one client's loss at x, a float64 array, on one batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


def adamw(
    gradient: Gradient,
    x: np.ndarray,
    batches: Sequence[Any],
    rate: float,
    decay: float,
    clip: float,
) -> np.ndarray:
    """x after AdamW's steps from a fresh state (Loshchilov and Hutter 2019).

    The gradient's norm is clipped first; beta are 0.9 and 0.999, eps is 1e-8.
    """
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, batch in enumerate(batches, start=1):
        g = gradient(x, batch)
        g = g * min(1.0, clip / np.linalg.norm(g))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        x = x - rate * (step + decay * x)
    return x


class AfterFedPepTAO(NamedTuple):
    """What the server and the devices have after some rounds.

    Attributes:
      x: all coordinates, at the server.
      c: the server's control variate.
      v: its momentum.
      own: device -> the coordinates that it keeps, 0 for the others.
      c_of: device -> its control variate; {} for 'fedavg'.
    """

    x: np.ndarray
    c: np.ndarray
    v: np.ndarray
    own: dict[int, np.ndarray]
    c_of: dict[int, np.ndarray]


def fedpeptao(
    gradient: Gradient,
    x: np.ndarray,
    rounds: Sequence[Round],
    sizes: dict[int, int],
    population: int,
    chosen: np.ndarray,
    variant: str,
    server_rates: Sequence[float],
    rate: float,
    decay: float,
    clip: float,
    beta: float,
) -> AfterFedPepTAO:
    """What FedPepTAO's rounds end with.

    The released code, line by line ('fedpeptao_code'); the step whose formulas
    fit together ('fedpeptao'); or the plain mean ('fedavg').

    Args:
      gradient: of one device's loss.
      x: all coordinates.
      rounds: of each, device -> its batches.
      sizes: device -> its examples.
      population: N.
      chosen: bool, coordinates that travel.
      variant: see above.
      server_rates: of each round.
      rate: of devices, as are decay and clip.
      decay: of AdamW.
      clip: most of a gradient's norm.
      beta: of the server's momentum.
    """
    c, v, before = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    c_of: dict[int, np.ndarray] = {}
    own: dict[int, np.ndarray] = {}
    for number, one in enumerate(rounds):
        weights = np.array([sizes[k] for k in one], float)
        weights /= weights.sum()
        sent, steps = [], []
        for k, batches in one.items():
            begin = np.where(chosen, x, own.get(k, x))
            end = adamw(gradient, begin, batches, rate, decay, clip)
            own[k] = np.where(chosen, 0.0, end)
            sent.append(np.where(chosen, end, 0.0))
            steps.append(len(batches))
        w = np.where(chosen, x, 0.0)
        mean = sum(p * w_k for p, w_k in zip(weights, sent, strict=True))
        olds = [c_of.get(k, np.zeros_like(x)) for k in one]
        slopes = [
            (w - w_k) / (n * rate) for w_k, n in zip(sent, steps, strict=True)
        ]
        if variant == 'fedavg':
            new_w = w - server_rates[number] * (w - mean)
        elif variant == 'fedpeptao':
            g = w - mean
            for p, n, old in zip(weights, steps, olds, strict=True):
                g = g + rate * p * n * (c - old)
            v = beta * v + (1 - beta) * g
            new_w = w - server_rates[number] * v
            for k, old, slope in zip(one, olds, slopes, strict=True):
                c_of[k] = slope
                c = c + (slope - old) / population
        else:
            delta = w - mean
            news = [
                old - c + slope for old, slope in zip(olds, slopes, strict=True)
            ]
            change = sum(
                n * (new - old)
                for n, new, old in zip(steps, news, olds, strict=True)
            ) / sum(steps)
            c = c + len(one) / population * change
            c_of |= dict(zip(one, news, strict=True))
            if number == 0:
                new_w = mean
            else:
                difference = before - delta
                new_w, buffers = np.zeros_like(x), np.zeros_like(x)
                for p, new in zip(weights, news, strict=True):
                    v = beta * v + (1 - beta) * difference + c - new
                    new_w = new_w + p * (mean - server_rates[number] * v)
                    buffers = buffers + p * v
                v = buffers
            before = delta
        x = np.where(chosen, new_w, x)
    return AfterFedPepTAO(x, c, v, own, c_of)
