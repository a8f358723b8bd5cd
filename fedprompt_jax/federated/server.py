"""The server: its state, and its optimizer on the aggregate of a cohort."""

import functools
from typing import Any, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import optax


class ServerState(flax.struct.PyTreeNode):
    """All that the server of FedAvg carries from round to round.

    Attributes:
      params: the global trained parameters.
      opt_state: state of the server optimizer.
      round: int32 scalar, rounds done.
    """

    params: Any
    opt_state: Any
    round: jax.Array


S = TypeVar('S', bound=ServerState)


def init(params: Any, tx: optax.GradientTransformation) -> ServerState:
    """The state before the first round."""
    return ServerState(params, tx.init(params), jnp.zeros((), jnp.int32))


def core(state: ServerState) -> ServerState:
    """What FedAvg's server carries of the state of another algorithm."""
    return ServerState(state.params, state.opt_state, state.round)


@functools.partial(
    jax.jit, static_argnames='tx', donate_argnames='pseudo_gradient'
)
def server_update(
    tx: optax.GradientTransformation,
    state: ServerState,
    pseudo_gradient: Any,
    gradient: Any,
) -> tuple[ServerState, dict[str, jax.Array]]:
    """One step of the server optimizer (generalised FedAvg, 2003.00295).

    Args:
      tx: server optimizer.
      state: the state that the cohort started from. It is not written over:
        the round may be computed again, and the best prompt may be its.
      pseudo_gradient: the cohort's aggregate, leaves [...]: of x - y_i for
        FedAvg, of gradients for FedSGD. The new params are written over it.
      gradient: the aggregate of the gradients at x, for the guard alone.

    Returns:
      The next state, and the round's norms (Frobenius) under the names they
      have in metrics.jsonl.
    """
    updates, opt_state = tx.update(
        pseudo_gradient, state.opt_state, state.params
    )
    params = optax.apply_updates(state.params, updates)
    metrics = norms(params, updates, gradient)
    state = state.replace(
        params=params, opt_state=opt_state, round=state.round + 1
    )
    return state, metrics


@jax.jit
def norms(params: Any, updates: Any, gradient: Any) -> dict[str, jax.Array]:
    """What a server step logs, by names in metrics.jsonl.

    Args:
      params: after the step.
      updates: what was added to them.
      gradient: the aggregate of the gradients before it, leaves [...].
    """
    return {
        'prompt_norm': optax.tree.norm(params),
        'update_norm': optax.tree.norm(updates),
        # First-order change of the loss that this update should bring.
        'predicted_change': optax.tree.vdot(gradient, updates),
    }
