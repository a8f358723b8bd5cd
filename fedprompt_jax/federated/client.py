"""What one client does with a gradient; vmapped over a cohort by callers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax


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
