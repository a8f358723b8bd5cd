"""The packed simulation: a cohort's gradients in one call of the model.

vmapped.py is the plain form that it must equal.
"""

from collections.abc import Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.reading import target_states
from fedprompt_jax.data.examples import Example, token_weights
from fedprompt_jax.data.packing import Grid, Packer
from fedprompt_jax.federated.client import (
    LocalResult,
    client_step,
    finite_owners,
    owner_norms,
    select,
)
from fedprompt_jax.mesh import to_host
from fedprompt_jax.models.token_loss import token_losses


@functools.partial(jax.jit, static_argnames='model')
def grid_losses(model: TunedModel, base, bank, grid: Grid) -> jax.Array:
    """-log p f32 [R, K] of a grid's targets under their owners' prompts.

    Args:
      model: the language model.
      base: its parameters.
      bank: trained parameters of C owners, leaves [C, ...].
      grid: a packed grid; places without a target hold nonsense.
    """
    bound = model.bind(base, bank)
    hidden = target_states(bound, grid)
    return token_losses(bound.logits, hidden, grid.target_label)


@functools.partial(jax.jit, static_argnames='model')
def grid_gradients(model: TunedModel, base, bank, grid: Grid):
    """Each owner's loss f32 [C] on a grid, and its gradient like the bank.

    An owner's loss depends on its own leaf alone, so the gradient of the sum
    holds the gradient of each. A non-finite owner gets NaN for both and is
    kept from its neighbours in the row.
    """
    finite = finite_owners(bank)
    num_owners = len(finite)

    def loss(bank):
        weighted = grid.target_weight * grid_losses(model, base, bank, grid)
        # Places without a target go to one owner more, who is dropped.
        owner = jnp.where(grid.target_owner < 0, num_owners, grid.target_owner)
        losses = jnp.zeros(num_owners + 1).at[owner].add(weighted)[:-1]
        return losses.sum(), losses

    safe = select(finite, bank, 0.0)
    (_, losses), grads = jax.value_and_grad(loss, has_aux=True)(safe)
    return select(finite, (losses, grads), jnp.nan)


@functools.partial(jax.jit, static_argnames='tx')
def cohort_step(tx, bank, opt_state, grads, present):
    """client_step of every owner, and the gradients' norms [C]."""
    step = jax.vmap(functools.partial(client_step, tx))
    bank, opt_state = step(bank, opt_state, grads, present)
    return bank, opt_state, owner_norms(grads)


class PackedSimulation:
    """Trains cohorts by packed grids.

    Attributes:
      model: the language model.
      base: its parameters, on device.
      packer: the shapes of the grids.
      loss: a key of data.examples.LOSSES.
      put: places a host grid on the device mesh.
    """

    def __init__(
        self, model: TunedModel, base, packer: Packer, loss: str, put
    ) -> None:
        self.model, self.base = model, base
        self.packer, self.loss, self.put = packer, loss, put

    def gradients(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """Loss f32 [C] of each owner on its examples, and its gradient.

        Args:
          bank: trained parameters, leaves [C, ...].
          examples: of any owners, in any order and number.
          isolate: pack one owner a row (see Packer.pack).
        """
        weights = token_weights(examples, self.loss)
        total = None
        for grid in self.packer.pack(examples, weights, isolate):
            part = grid_gradients(self.model, self.base, bank, self.put(grid))
            total = part if total is None else _add(total, part)
        if total is None:
            raise ValueError('There is no example to take a gradient of.')
        return total

    def local_train(
        self,
        tx: optax.GradientTransformation,
        bank,
        opt_state,
        steps: Sequence[Sequence[Example]],
        isolate: bool = False,
    ) -> LocalResult:
        """The cohort after one optimizer step an entry of `steps`.

        Args:
          tx: client optimizer, the same for all.
          bank: where each owner starts, leaves [C, ...].
          opt_state: state of `tx` of each owner, leaves [C, ...].
          steps: for each step, the batches of all owners together.
          isolate: pack one owner a row (see Packer.pack).
        """
        num_owners = len(jax.tree.leaves(bank)[0])
        losses, norms, first = [], [], None
        for examples in steps:
            loss, grads = self.gradients(bank, examples, isolate)
            present = present_owners(examples, num_owners)
            first = grads if first is None else first
            bank, opt_state, norm = cohort_step(
                tx, bank, opt_state, grads, present
            )
            losses.append(jnp.where(present, loss, jnp.nan))
            norms.append(jnp.where(present, norm, jnp.nan))
        return LocalResult(
            bank,
            opt_state,
            np.array([to_host(x) for x in losses]),
            np.array([to_host(x) for x in norms]),
            first,
        )


_add = jax.jit(lambda a, b: jax.tree.map(jnp.add, a, b))


def present_owners(examples: Sequence[Example], num_owners: int) -> np.ndarray:
    """bool [C]: which owners have an example."""
    return np.isin(np.arange(num_owners), [e.owner for e in examples])
