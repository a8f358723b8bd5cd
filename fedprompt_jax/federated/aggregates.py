"""How the trees of a cohort become one: `config.aggregation` names it.

An owner with a number that is not finite is left out of all of them. An
aggregate over nobody is NaN, on which the run stops.
"""

from collections.abc import Callable
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.bank.owners import finite_owners, owner_norms, per_owner
from fedprompt_jax.federated import specs

# (bank, leaves [C, ...]; int [C], examples of each client) -> leaves [...].
Aggregate = Callable[[Any, np.ndarray], Any]

GEOMETRIC_STEPS = 32  # of Weiszfeld's iteration


def uniform() -> Aggregate:
    """The mean over clients."""
    return lambda bank, counts: _mean(bank, np.ones(len(counts), np.float32))


def examples() -> Aggregate:
    """The mean weighted by how many examples a client has."""
    return lambda bank, counts: _mean(bank, counts.astype(np.float32))


def median() -> Aggregate:
    """The median of each coordinate (Yin et al. 2018, 1803.01498)."""
    return lambda bank, counts: _median(bank)


def trimmed_mean(share: float = 0.1) -> Aggregate:
    """The mean of each coordinate without its extremes (1803.01498).

    Args:
      share: of the clients, left out at either end; below 0.5, rounded down.
    """
    _require(0 <= share < 0.5, f'share={share!r} must be in [0, 0.5)')
    return lambda bank, counts: _trimmed(bank, share)


def clipped_mean(norm: float = 1.0) -> Aggregate:
    """The mean over clients of trees scaled down to a Frobenius norm.

    Args:
      norm: the largest that a tree may have, above 0.
    """
    _require(norm > 0, f'norm={norm!r} must be above 0')
    return lambda bank, counts: _clipped(bank, norm)


def geometric_median(smoothing: float = 1e-6) -> Aggregate:
    """The tree with the least sum of distances to the clients' (1912.13445).

    Weiszfeld's iteration from the mean, smoothed as Pillutla et al. do it.

    Args:
      smoothing: the least distance that is divided by, above 0.
    """
    _require(smoothing > 0, f'smoothing={smoothing!r} must be above 0')
    return lambda bank, counts: _geometric_median(bank, smoothing)


NAMES = {
    f.__name__: f
    for f in (
        uniform, examples, median, trimmed_mean, clipped_mean,
        geometric_median,
    )
}  # fmt: skip


def make(spec: str) -> Aggregate:
    """The aggregate of 'uniform' or 'trimmed_mean(share=0.2)'.

    Raises:
      ValueError: there is none of that name, or it has no such argument.
    """
    return specs.call(spec, NAMES, 'aggregate')


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise ValueError(f'{words}.')


@jax.jit
def _mean(bank, weights: jax.Array | np.ndarray):
    """Weighted mean of the finite owners; weights f32 [C] need no sum of 1."""
    weights = jnp.where(finite_owners(bank), weights, 0.0)
    share = weights / weights.sum()  # 0 / 0 is NaN: a mean over nothing

    def leaf(x):
        w = per_owner(share, x)
        # 0 * NaN is NaN: a dropped owner is replaced before it is weighted.
        return jnp.where(w == 0, 0.0, w * x).sum(axis=0)

    return jax.tree.map(leaf, bank)


@jax.jit
def _median(bank):
    finite = finite_owners(bank)
    return jax.tree.map(
        lambda x: jnp.nanmedian(
            jnp.where(per_owner(finite, x), x, jnp.nan), axis=0
        ),
        bank,
    )


@functools.partial(jax.jit, static_argnames='share')
def _trimmed(bank, share: float):
    finite = finite_owners(bank)
    count = finite.sum()
    cut = jnp.floor(share * count).astype(jnp.int32)

    def leaf(x):
        # Owners that are left out come last, behind all that count: [C, ...].
        ordered = jnp.sort(jnp.where(per_owner(finite, x), x, jnp.inf), axis=0)
        place = jnp.arange(len(x))
        inside = per_owner((place >= cut) & (place < count - cut), x)
        return jnp.where(inside, ordered, 0.0).sum(axis=0) / (count - 2 * cut)

    return jax.tree.map(leaf, bank)


@functools.partial(jax.jit, static_argnames='norm')
def _clipped(bank, norm: float):
    scale = norm / jnp.maximum(owner_norms(bank), norm)  # [C], at most 1
    scaled = jax.tree.map(lambda x: per_owner(scale, x) * x, bank)
    return _mean(scaled, finite_owners(bank).astype(jnp.float32))


@functools.partial(jax.jit, static_argnames='smoothing')
def _geometric_median(bank, smoothing: float):
    finite = finite_owners(bank).astype(jnp.float32)

    def nearer(_, center):
        away = jax.tree.map(lambda x, c: x - c, bank, center)
        return _mean(bank, finite / jnp.maximum(owner_norms(away), smoothing))

    return jax.lax.fori_loop(0, GEOMETRIC_STEPS, nearer, _mean(bank, finite))
