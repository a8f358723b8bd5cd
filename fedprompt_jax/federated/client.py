"""What one client does with a gradient; vmapped over a cohort by callers."""

from collections.abc import Callable, Iterable, Sequence
import functools
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.owners import mean_of_finite, owner_norms
from fedprompt_jax.data.examples import Example
from fedprompt_jax.mesh import to_host

T = TypeVar('T')


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

    def metrics(self, finite: jax.Array) -> dict[str, Any]:
        """Means over the clients that count, by names in metrics.jsonl.

        Args:
          finite: bool [C], clients that are in the server's mean.
        """
        return {
            'loss': mean_of_finite(self.losses, finite),
            'loss_first_step': mean_of_finite(self.losses[0], finite),
            'loss_last_step': mean_of_finite(self.losses[-1], finite),
            'client_grad_norm': mean_of_finite(self.grad_norms, finite),
            'clients_dropped': int((~finite).sum()),
        }


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


@functools.partial(jax.jit, static_argnames='tx')
def cohort_step(tx, bank, opt_state, grads, present):
    """client_step of every owner, and the gradients' norms f32 [C].

    Args:
      tx: client optimizer, the same for all.
      bank: leaves [C, ...], as are opt_state and grads.
      opt_state: states of `tx`.
      grads: gradients.
      present: bool [C], owners that have a batch.
    """
    step = jax.vmap(functools.partial(client_step, tx))
    bank, opt_state = step(bank, opt_state, grads, present)
    return bank, opt_state, owner_norms(grads)


def present_owners(examples: Sequence[Example], num_owners: int) -> np.ndarray:
    """bool [C]: which owners have an example."""
    return np.isin(np.arange(num_owners), [e.owner for e in examples])


def train(
    tx: optax.GradientTransformation,
    bank: Any,
    opt_state: Any,
    steps: Iterable[T],
    gradients: Callable[[Any, T], tuple[jax.Array, Any]],
    present: Callable[[T], np.ndarray],
) -> LocalResult:
    """The cohort after an optimizer step on each of `steps`.

    Args:
      tx: client optimizer, the same for all.
      bank: where each owner starts, leaves [C, ...].
      opt_state: state of `tx` of each owner, leaves [C, ...].
      steps: what the gradients are taken of, one after the other.
      gradients: (bank, step) -> losses f32 [C] and gradients [C, ...].
      present: step -> bool [C], owners that have a batch in it.
    """
    losses, norms, first = [], [], None
    for step in steps:
        # 1. Losses [C] and gradients [C, ...] of this step's batches.
        loss, grads = gradients(bank, step)
        took_part = present(step)
        first = grads if first is None else first
        # 2. Each owner that has a batch takes its optimizer step.
        bank, opt_state, norm = cohort_step(
            tx, bank, opt_state, grads, took_part
        )
        losses.append(jnp.where(took_part, loss, jnp.nan))
        norms.append(jnp.where(took_part, norm, jnp.nan))
    return LocalResult(
        bank,
        opt_state,
        np.array([to_host(x) for x in losses]),
        np.array([to_host(x) for x in norms]),
        first,
    )
