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
from fedprompt_jax.federated.later import Later
from fedprompt_jax.federated.prepared import checked
from fedprompt_jax.mesh import to_host

T = TypeVar('T')


class LocalResult(NamedTuple):
    """A cohort after its local steps.

    Attributes:
      bank: trained parameters, leaves [C, ...].
      opt_state: optimizer state of each client, leaves [C, ...].
      losses: f32 [S, C] loss of each step's batch before the step; NaN where
        a client had no batch. On the devices, as all of it.
      grad_norms: f32 [S, C] Frobenius norms of the gradients, NaN likewise.
      first_grads: gradients of the first step, like the bank.
    """

    bank: Any
    opt_state: Any
    losses: jax.Array
    grad_norms: jax.Array
    first_grads: Any

    def checked(
        self, start: Any, batches: Iterable[Sequence[Example]]
    ) -> 'LocalResult':
        """The same, as NaN if an owner may have poisoned others.

        Args:
          start: the bank before these batches, leaves [C, ...].
          batches: prepared ones; see prepared.py.
        """
        more = self.losses, self.grad_norms, self.first_grads
        bank, *more = checked(start, self.bank, batches, *more)
        return LocalResult(bank, self.opt_state, *more)

    def metrics(self, finite: jax.Array) -> dict[str, Any]:
        """Means over the clients that count, by names in metrics.jsonl.

        Args:
          finite: bool [C], clients that are in the server's mean.
        """
        return {
            'loss': mean_later(self.losses, finite),
            'loss_first_step': mean_later(self.losses, finite, 0),
            'loss_last_step': mean_later(self.losses, finite, -1),
            'client_grad_norm': mean_later(self.grad_norms, finite),
            'clients_dropped': dropped_later(finite),
        }


def mean_later(values: Any, finite: Any, step: int | None = None) -> Later:
    """The mean of what the finite owners report; see mean_of_finite.

    Args:
      values: f32 [..., C].
      finite: bool [C].
      step: of which step, where values are [S, C]; None for all.
    """
    return Later(functools.partial(_mean, step=step), (values, finite))


def dropped_later(finite: Any) -> Later:
    """The number of owners that are not finite.

    Args:
      finite: bool [C].
    """
    return Later(lambda finite: int((~to_host(finite)).sum()), finite)


def _mean(arrays: tuple[Any, Any], step: int | None) -> float:
    values, finite = arrays
    values = to_host(values)
    return mean_of_finite(values if step is None else values[step], finite)


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


def stepped(tx, bank, opt_state, losses, grads, present):
    """client_step of every owner, and what is reported of it.

    Args:
      tx: client optimizer, the same for all.
      bank: leaves [C, ...], as are opt_state and grads.
      opt_state: states of `tx`.
      losses: f32 [C].
      grads: gradients.
      present: bool [C], owners that have a batch.

    Returns:
      The new bank and opt_state, and f32 [2, C]: losses and the gradients'
      norms, NaN where an owner has no batch.
    """
    step = jax.vmap(functools.partial(client_step, tx))
    bank, opt_state = step(bank, opt_state, grads, present)
    report = jnp.stack([losses, owner_norms(grads)])
    return bank, opt_state, jnp.where(present, report, jnp.nan)


# A bank and its optimizers are as large as what they become: XLA writes these
# in their place.
cohort_step = functools.partial(
    jax.jit, static_argnames='tx', donate_argnames=('bank', 'opt_state')
)(stepped)


def present_owners(examples: Sequence[Example], num_owners: int) -> np.ndarray:
    """bool [C]: which owners have an example."""
    return np.isin(np.arange(num_owners), [e.owner for e in examples])


def num_steps(steps: Iterable[Sequence[Example]], num_owners: int):
    """int [C]: how many of the steps each owner has a batch in."""
    return sum(present_owners(step, num_owners).astype(int) for step in steps)


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
    # The caller may read what it gave: cohort_step writes over copies.
    bank, opt_state = _copies((bank, opt_state))
    reports, first = [], None
    for step in steps:
        # 1. Losses [C] and gradients [C, ...] of this step's batches.
        loss, grads = gradients(bank, step)
        took_part = present(step)
        first = grads if first is None else first
        # 2. Each owner that has a batch takes its optimizer step.
        bank, opt_state, report = cohort_step(
            tx, bank, opt_state, loss, grads, took_part
        )
        reports.append(report)
    # 3. Nothing of it is read: the devices may be steps behind.
    losses, norms = _by_kind(reports)
    return LocalResult(bank, opt_state, losses, norms, first)


@jax.jit
def _copies(tree: Any) -> Any:
    """The tree in memory of its own."""
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _by_kind(reports: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Losses and norms f32 [S, C] of S reports [2, C]."""
    losses, norms = jnp.stack(reports, axis=1)
    return losses, norms
