"""The packed simulation: a cohort's gradients in one call of the model.

vmapped.py is the plain form that it must equal.
"""

from collections.abc import Iterator, Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import (
    grid_gradients,
    grid_hessian_products,
    grid_owner_losses,
)
from fedprompt_jax.bank.owners import finite_owners, num_owners
from fedprompt_jax.data.examples import Example, token_weights
from fedprompt_jax.data.packing import Grid, Packer
from fedprompt_jax.federated import client, ledger, scanned
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.federated.prepared import (
    Prepared,
    are_prepared,
    checked,
    plain,
)


class PackedSimulation:
    """Trains cohorts by packed grids.

    Owners that share a row can poison each other: 0 * NaN is NaN, also behind
    a mask. So an owner that turns non-finite makes the simulation compute
    again with one owner a row, where each is non-finite by itself or not. It
    has to wait for the result to know; with prepared batches it does not wait,
    and the caller computes again (prepared.py).

    Attributes:
      model: the language model.
      base: its parameters, on device.
      packer: the shapes of the grids.
      loss: a key of data.examples.LOSSES.
      place_rows: places a host grid on the device mesh.
      scan_steps: whether prepared local steps whose grids are alike are one
        program; see scanned.py.
    """

    def __init__(
        self,
        model: TunedModel,
        base,
        packer: Packer,
        loss: str,
        place_rows,
        scan_steps: bool = False,
    ) -> None:
        self.model, self.base = model, base
        self.packer, self.loss, self.place_rows = packer, loss, place_rows
        self.scan_steps = scan_steps

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
        if are_prepared([examples]):
            grads, losses = checked(bank, grads, [examples], losses)
            return losses, grads
        if self._may_share(num_owners(bank)) and _any_lost(bank, grads):
            return self.gradients_once(bank, examples, isolate=True)
        return losses, grads

    def losses(self, bank, examples: Sequence[Example]) -> jax.Array:
        """Loss f32 [C] of each owner on its examples, without a gradient.

        Args:
          bank: trained parameters, leaves [C, ...], all finite.
          examples: one or more, of any owners.
        """
        weights = token_weights(examples, self.loss)

        def once(isolate: bool) -> jax.Array:
            parts = [
                grid_owner_losses(
                    self.model, self.base, bank, self.place_rows(grid)
                )
                for grid in self.packer.pack(examples, weights, isolate)
            ]
            return functools.reduce(_add, parts)

        losses = once(isolate=False)
        return losses if jnp.isfinite(losses).all() else once(isolate=True)

    def hessian_products(
        self, bank, tangents, examples: Sequence[Example]
    ) -> Any:
        """The Hessian of each owner's loss times its tangent, like the bank.

        Args:
          bank: trained parameters, leaves [C, ...], all finite.
          tangents: like the bank.
          examples: one or more, of any owners.
        """
        weights = token_weights(examples, self.loss)
        parts = [
            grid_hessian_products(
                self.model, self.base, bank, tangents, self.place_rows(grid)
            )
            for grid in self.packer.pack(examples, weights)
        ]
        return functools.reduce(_add, parts)

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
        if are_prepared(steps):
            return result.checked(bank, steps)
        if self._may_share(num_owners(bank)) and _any_lost(bank, result.bank):
            return self._train_once(tx, bank, opt_state, steps, True)
        return result

    def with_packer(self, packer: Packer) -> 'PackedSimulation':
        """The same with other row shapes."""
        return self._with(packer=packer)

    def with_base(self, base) -> 'PackedSimulation':
        """The same with other frozen parameters of the same shapes."""
        return self._with(base=base)

    def with_model(self, model: TunedModel, base) -> 'PackedSimulation':
        """The same with another model, for which rows have the same shapes."""
        return self._with(model=model, base=base)

    def _with(self, **changes) -> 'PackedSimulation':
        names = 'model', 'base', 'packer', 'loss', 'place_rows', 'scan_steps'
        args = {name: getattr(self, name) for name in names}
        return PackedSimulation(**args | changes)

    def compute(self, steps: Sequence[Sequence[Example]]) -> dict[str, int]:
        """Tokens and FLOPs of the gradients of `steps`; see ledger.compute."""
        return ledger.compute(self.model, steps)

    def gradients_once(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """Computes what `gradients` returns, without a second try.

        Args:
          bank: trained parameters, leaves [C, ...].
          examples: of any owners, in any order and number.
          isolate: pack one owner a row (see Packer.pack).
        """
        total = None
        for grid in self._grids(examples, isolate):
            # An owner may lie in several grids: losses and gradients add up.
            part = grid_gradients(self.model, self.base, bank, grid)
            total = part if total is None else _add(total, part)
        if total is None:
            raise ValueError('There is no example to take a gradient of.')
        return total

    def prepare(
        self, examples: Sequence[Example], alone: bool = False
    ) -> Sequence[Example]:
        """The examples with their grids on the devices; see Simulation."""
        examples = plain(examples)
        alone = alone or not self._may_share(len({e.owner for e in examples}))
        grids = tuple(self._grids(examples, alone))
        return Prepared(examples, alone, grids, self._packing)

    def _may_share(self, owners: int) -> bool:
        """Whether a row may have tokens of several of so many owners."""
        return owners > 1 and not self.model.kind.one_owner

    @property
    def _packing(self) -> Any:
        """What the grids of examples depend on."""
        return self.packer, self.loss, self.place_rows

    def _grids(
        self, examples: Sequence[Example], isolate: bool
    ) -> Iterator[Grid]:
        """The grids of examples, on the devices."""
        if isinstance(examples, Prepared):
            if examples.packing == self._packing:
                yield from examples.grids
                return
            isolate = isolate or examples.alone
        weights = token_weights(examples, self.loss)
        for grid in self.packer.pack(examples, weights, isolate):
            yield self.place_rows(grid)

    def _train_once(self, tx, bank, opt_state, steps, isolate) -> LocalResult:
        owners = num_owners(bank)
        if are_prepared(steps) and self.scan_steps:
            grids = [tuple(self._grids(step, isolate)) for step in steps]
            if scanned.alike(grids):
                present = [client.present_owners(s, owners) for s in steps]
                return scanned.train(
                    self.model,
                    self.base,
                    tx,
                    bank,
                    opt_state,
                    grids,
                    np.array(present),
                )
        return client.train(
            tx,
            bank,
            opt_state,
            steps,
            lambda bank, step: self.gradients_once(bank, step, isolate),
            lambda step: client.present_owners(step, owners),
        )


def _any_lost(before, after) -> bool:
    """Whether an owner that was finite is no longer; waits for `after`."""
    return bool((finite_owners(before) & ~finite_owners(after)).any())


@functools.partial(jax.jit, donate_argnames='total')
def _add(total: Any, part: Any) -> Any:
    """The sum of two trees, written over the first."""
    return jax.tree.map(jnp.add, total, part)
