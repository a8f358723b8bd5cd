"""All local steps of a round as one program: a scan over their grids.

It is one dispatch in place of two a step. A program is compiled for each number
of steps and shape of their grids, which must be the same in all of them.
"""

from collections.abc import Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.data.packing import Grid
from fedprompt_jax.federated.client import LocalResult, stepped


def alike(steps: Sequence[Sequence[Grid]]) -> bool:
    """Whether steps have as many grids each, of the same shapes.

    Args:
      steps: the grids of each; with fewer than two steps nothing is gained.
    """
    shapes = {
        tuple((g.tokens.shape, g.target_label.shape) for g in grids)
        for grids in steps
    }
    return len(steps) > 1 and len(shapes) == 1


def train(
    model: TunedModel,
    base: Any,
    tx: optax.GradientTransformation,
    bank: Any,
    opt_state: Any,
    steps: Sequence[Sequence[Grid]],
    present: np.ndarray,
) -> LocalResult:
    """What client.train makes of these steps.

    Args:
      model: the language model.
      base: its parameters.
      tx: client optimizer, the same for all.
      bank: where each owner starts, leaves [C, ...].
      opt_state: state of `tx` of each owner, leaves [C, ...].
      steps: the grids of each step, for which `alike` holds.
      present: bool [S, C], owners that have a batch in each step.
    """
    grids = tuple(map(tuple, steps))
    return LocalResult(
        *scanned_steps(model, tx, base, bank, opt_state, grids, present)
    )


@functools.partial(jax.jit, static_argnames=('model', 'tx'))
def scanned_steps(
    model: TunedModel,
    tx: optax.GradientTransformation,
    base: Any,
    bank: Any,
    opt_state: Any,
    steps: tuple[tuple[Grid, ...], ...],
    present: jax.Array,
) -> tuple[Any, ...]:
    """The fields of LocalResult; see train."""

    def gradients(bank: Any, grids: Sequence[Grid]) -> tuple[jax.Array, Any]:
        parts = [grid_gradients(model, base, bank, grid) for grid in grids]
        return functools.reduce(optax.tree.add, parts)

    def step(carry, now):
        bank, opt_state, first = carry
        number, grids, present = now
        losses, grads = gradients(bank, grids)
        first = jax.tree.map(
            lambda f, g: jnp.where(number == 0, g, f), first, grads
        )
        bank, opt_state, report = stepped(
            tx, bank, opt_state, losses, grads, present
        )
        return (bank, opt_state, first), report

    stacked = jax.tree.map(lambda *x: jnp.stack(x), *steps)  # leaves [S, ...]
    carry = bank, opt_state, optax.tree.zeros_like(bank)
    (bank, opt_state, first), reports = jax.lax.scan(
        step, carry, (jnp.arange(len(steps)), stacked, present)
    )
    return bank, opt_state, reports[:, 0], reports[:, 1], first
