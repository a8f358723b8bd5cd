"""Optax transformations that are chained before a client optimizer.

What differs between clients or rounds (a start, a correction, a mask) is state
with one entry an owner, never an array that a closure holds: a closure is a new
program each round.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax


def pull_to_start(strength: float) -> optax.GradientTransformation:
    """Adds the gradient of (strength / 2) * |params - start|^2.

    The start is where `init` was called: the global prompt in Profit's l2
    heuristic (2310.04627, observation 4), in FedProx's proximal term and in
    Ditto's personal objective. It is state, one of each owner in a bank.

    Args:
      strength: lambda, 0 or more.
    """

    def update(grads, start, params=None):
        pulled = jax.tree.map(
            lambda g, p, s: g + strength * (p - s), grads, params, start
        )
        return pulled, start

    return optax.GradientTransformation(lambda params: params, update)


def add_correction() -> optax.GradientTransformation:
    """Adds a tree to the gradient: its state, which is zero at first.

    SCAFFOLD's state is c - c_i (1910.06378).
    """

    def update(grads, correction, params=None):
        del params
        return jax.tree.map(jnp.add, grads, correction), correction

    return optax.GradientTransformation(_like(0.0), update)


def mask(
    flags: Callable[[Any], Any] | None = None,
) -> optax.GradientTransformation:
    """Multiplies the gradient by a tree of 0 and 1: its state.

    Args:
      flags: params -> the state at first, like params; None for 1 everywhere.
    """

    def update(grads, flags, params=None):
        del params
        return jax.tree.map(jnp.multiply, grads, flags), flags

    return optax.GradientTransformation(flags or _like(1.0), update)


def _like(value: float) -> Any:
    return lambda params: jax.tree.map(
        lambda x: jnp.full_like(x, value), params
    )
