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
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.bank.owners import finite_owners, num_owners, owner_norms
from fedprompt_jax.data.examples import Example, token_weights
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.federated.client import LocalResult, client_step
from fedprompt_jax.mesh import to_host


@functools.partial(jax.jit, static_argnames='tx')
def cohort_step(tx, bank, opt_state, grads, present):
    """client_step of every owner, and the gradients' norms [C]."""
    step = jax.vmap(functools.partial(client_step, tx))
    bank, opt_state = step(bank, opt_state, grads, present)
    return bank, opt_state, owner_norms(grads)


class PackedSimulation:
    """Trains cohorts by packed grids.

    Owners that share a row can poison each other: 0 * NaN is NaN, also behind
    a mask. So an owner that turns non-finite makes the simulation compute
    again with one owner a row, where each is non-finite by itself or not.

    Attributes:
      model: the language model.
      base: its parameters, on device.
      packer: the shapes of the grids.
      loss: a key of data.examples.LOSSES.
      place_rows: places a host grid on the device mesh.
    """

    def __init__(
        self, model: TunedModel, base, packer: Packer, loss: str, place_rows
    ) -> None:
        self.model, self.base = model, base
        self.packer, self.loss, self.place_rows = packer, loss, place_rows

    def gradients(
        self, bank, examples: Sequence[Example]
    ) -> tuple[jax.Array, Any]:
        """Loss f32 [C] of each owner on its examples, and its gradient.

        Args:
          bank: trained parameters, leaves [C, ...].
          examples: of any owners, in any order and number.

        Raises:
          ValueError: there is no example.
        """
        losses, grads = self.gradients_once(bank, examples)
        if _any_lost(bank, grads):
            return self.gradients_once(bank, examples, isolate=True)
        return losses, grads

    def local_train(
        self,
        tx: optax.GradientTransformation,
        bank,
        opt_state,
        steps: Sequence[Sequence[Example]],
    ) -> LocalResult:
        """The cohort after one optimizer step an entry of `steps`.

        Args:
          tx: client optimizer, the same for all.
          bank: where each owner starts, leaves [C, ...].
          opt_state: state of `tx` of each owner, leaves [C, ...].
          steps: for each step, the batches of all owners together.
        """
        result = self._train_once(tx, bank, opt_state, steps, False)
        if _any_lost(bank, result.bank):
            return self._train_once(tx, bank, opt_state, steps, True)
        return result

    def gradients_once(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """Computes what `gradients` returns, without a second try.

        Args:
          bank: trained parameters, leaves [C, ...].
          examples: of any owners, in any order and number.
          isolate: pack one owner a row (see Packer.pack).
        """
        weights = token_weights(examples, self.loss)
        total = None
        for grid in self.packer.pack(examples, weights, isolate):
            # An owner may lie in several grids: losses and gradients add up.
            part = grid_gradients(
                self.model, self.base, bank, self.place_rows(grid)
            )
            total = part if total is None else _add(total, part)
        if total is None:
            raise ValueError('There is no example to take a gradient of.')
        return total

    def _train_once(self, tx, bank, opt_state, steps, isolate) -> LocalResult:
        owners = num_owners(bank)
        losses, norms, first = [], [], None
        for examples in steps:
            # 1. Losses [C] and gradients [C, ...] of this step's batches.
            loss, grads = self.gradients_once(bank, examples, isolate)
            present = present_owners(examples, owners)
            first = grads if first is None else first
            # 2. Each owner that has a batch takes its optimizer step.
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


def _any_lost(before, after) -> bool:
    """Whether an owner that was finite is no longer."""
    return bool((finite_owners(before) & ~finite_owners(after)).any())


_add = jax.jit(lambda a, b: jax.tree.map(jnp.add, a, b))


def present_owners(examples: Sequence[Example], num_owners: int) -> np.ndarray:
    """bool [C]: which owners have an example."""
    return np.isin(np.arange(num_owners), [e.owner for e in examples])
