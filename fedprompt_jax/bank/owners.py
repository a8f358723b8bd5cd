"""A bank: trees of C owners as one tree, whose leaves have a leading axis C."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.mesh import to_host


def num_owners(bank) -> int:
    """C of a bank."""
    return len(jax.tree.leaves(bank)[0])


@functools.partial(jax.jit, static_argnames='num_owners')
def replicate(params, num_owners: int):
    """A bank of num_owners copies, leaves [C, ...]."""
    return jax.tree.map(
        lambda x: jnp.broadcast_to(x, (num_owners, *x.shape)), params
    )


@jax.jit
def finite_owners(bank) -> jax.Array:
    """bool [C]: which owners hold finite numbers alone."""

    def leaf(x):
        return jnp.isfinite(x).reshape(len(x), -1).all(axis=1)

    # [leaves, C]: one bad leaf is enough.
    return jnp.stack([leaf(x) for x in jax.tree.leaves(bank)]).all(axis=0)


def mean_of_finite(values, finite) -> float:
    """Mean of what the finite owners report; NaN where there is nothing.

    Args:
      values: [..., C]; NaN, where an owner has nothing to report, is left out.
      finite: bool [C], owners that count.
    """
    counted = to_host(values)[..., to_host(finite)]
    counted = counted[~np.isnan(counted)]
    return float(counted.mean()) if counted.size else float('nan')


def per_owner(flags, leaf: jax.Array) -> jax.Array:
    """flags [C] shaped to broadcast against a leaf [C, ...]."""
    return flags.reshape(-1, *[1] * (leaf.ndim - 1))


@jax.jit
def select(flags, bank, other):
    """The bank's leaves where flags [C] hold, else the number `other`."""
    return jax.tree.map(
        lambda x: jnp.where(per_owner(flags, x), x, other), bank
    )


@jax.jit
def where(flags, bank, other):
    """The bank's owners where flags [C] hold, else those of the other bank."""
    return jax.tree.map(
        lambda x, y: jnp.where(per_owner(flags, x), x, y), bank, other
    )


@jax.jit
def owner_norms(bank) -> jax.Array:
    """f32 [C]: Frobenius norm of each owner's tree."""
    return jax.vmap(optax.tree.norm)(bank)
