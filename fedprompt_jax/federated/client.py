"""What one client does with a gradient; vmapped over a cohort by callers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.mesh import to_host


class LocalResult(NamedTuple):
    """A cohort after its local steps.

    Attributes:
      bank: trained parameters, leaves [C, ...].
      opt_state: optimizer state of each client, leaves [C, ...].
      losses: f32 [S, C] loss of each step's batch before the step; NaN where
        a client had no batch.
      grad_norms: f32 [S, C] Frobenius norms of the gradients, NaN likewise.
      first_grads: gradients of the first step, like the bank.
    """

    bank: Any
    opt_state: Any
    losses: np.ndarray
    grad_norms: np.ndarray
    first_grads: Any


def client_step(
    tx: optax.GradientTransformation, params, opt_state, grads, present
):
    """One optimizer step of one client; an absent client stays as it is.

    Adam moves by its momentum even on a zero gradient, so that "no batch"
    must be said: it is not a batch of weight zero.

    Args:
      tx: the client optimizer.
      params: the client's parameters.
      opt_state: state of `tx`.
      grads: gradient, like params.
      present: bool scalar, whether the client has a batch in this step.

    Returns:
      The new params and the new opt_state.
    """
    updates, new_state = tx.update(grads, opt_state, params)
    new = (optax.apply_updates(params, updates), new_state)
    old = (params, opt_state)
    return jax.tree.map(lambda n, o: jnp.where(present, n, o), new, old)


def finite_owners(bank) -> jax.Array:
    """bool [C]: which owners hold finite numbers alone."""

    def leaf(x):
        return jnp.isfinite(x).reshape(len(x), -1).all(axis=1)

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


def select(flags, bank, other):
    """The bank's leaves where flags [C] hold, else the number `other`."""
    return jax.tree.map(
        lambda x: jnp.where(per_owner(flags, x), x, other), bank
    )


def owner_norms(bank) -> jax.Array:
    """f32 [C]: Frobenius norm of each owner's tree."""
    return jax.vmap(optax.tree.norm)(bank)
