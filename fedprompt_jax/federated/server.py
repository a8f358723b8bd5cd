"""The server: its state, and its optimizer on the mean pseudo-gradient."""

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from fedprompt_jax.bank.owners import finite_owners, per_owner


@flax.struct.dataclass
class ServerState:
    """All that a federated run carries from round to round.

    Attributes:
      params: the global trained parameters.
      opt_state: state of the server optimizer.
      round: int32 scalar, rounds done.
    """

    params: Any
    opt_state: Any
    round: jax.Array


def init(params, tx: optax.GradientTransformation) -> ServerState:
    """The state before the first round."""
    return ServerState(params, tx.init(params), jnp.zeros((), jnp.int32))


def mean_over_finite(bank, weights: jax.Array):
    """Weighted mean of the bank's finite owners; NaN where there is none.

    Args:
      bank: leaves [C, ...].
      weights: f32 [C], not negative; they need not sum to one.
    """
    weights = jnp.where(finite_owners(bank), weights, 0.0)
    share = weights / weights.sum()  # 0 / 0 is NaN: a mean over nothing

    def leaf(x):
        w = per_owner(share, x)
        # 0 * NaN is NaN: a dropped owner is replaced before it is weighted.
        return jnp.where(w == 0, 0.0, w * x).sum(axis=0)

    return jax.tree.map(leaf, bank)


@functools.partial(jax.jit, static_argnames='tx')
def server_update(
    tx: optax.GradientTransformation,
    state: ServerState,
    pseudo_gradients,
    grads,
    weights: jax.Array,
) -> tuple[ServerState, dict[str, jax.Array]]:
    """One step of the server optimizer (generalised FedAvg, 2003.00295).

    Args:
      tx: server optimizer.
      state: the state that the cohort started from.
      pseudo_gradients: bank [C, ...] of x - y_i for FedAvg, of gradients for
        FedSGD; non-finite owners are left out.
      grads: bank [C, ...] of gradients at x, for the guard alone.
      weights: f32 [C], weight of each client in the mean.

    Returns:
      The next state, and the round's norms (Frobenius) under the names they
      have in metrics.jsonl.
    """
    mean = mean_over_finite(pseudo_gradients, weights)
    updates, opt_state = tx.update(mean, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {
        'prompt_norm': optax.tree.norm(params),
        'update_norm': optax.tree.norm(updates),
        # First-order change of the loss that this update should bring.
        'predicted_change': optax.tree.vdot(
            mean_over_finite(grads, weights), updates
        ),
        'clients_dropped': (~finite_owners(pseudo_gradients)).sum(),
    }
    return ServerState(params, opt_state, state.round + 1), metrics
