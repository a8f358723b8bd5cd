"""The plain simulation: jax.vmap of one client's update, padded batches.

This is the reference that packed.py must equal. Every example carries its
own copy of its owner's prompt and is padded to the longest of the cohort.
"""

from collections.abc import Sequence
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.owners import num_owners
from fedprompt_jax.bank.reading import target_states
from fedprompt_jax.data.examples import Example, token_weights
from fedprompt_jax.data.packing import Grid, Packer, Shape, empty_grid
from fedprompt_jax.federated import ledger
from fedprompt_jax.federated.client import LocalResult, client_step
from fedprompt_jax.models.token_loss import token_losses

MULTIPLE = 32  # lengths are padded to it, to bound the compilations


class Batch(NamedTuple):
    """Padded batches; leading axes [C, S] outside, none inside the client.

    Attributes:
      grid: B rows with at most one example, all of owner 0.
      present: bool scalar: whether there is any example.
    """

    grid: Grid
    present: np.ndarray


def client_loss(model: TunedModel, base, params, batch: Batch) -> jax.Array:
    """Scalar loss of one client on one padded batch."""
    bound = model.bind(base, jax.tree.map(lambda x: x[None], params))
    hidden, label = target_states(bound, batch.grid), batch.grid.target_label
    losses = token_losses(bound.logits, hidden, label)
    return (batch.grid.target_weight * losses).sum()


@functools.partial(jax.jit, static_argnames=('model', 'tx'))
def cohort_update(model, tx, base, bank, opt_state, batches: Batch):
    """vmap over clients of a scan over steps: the fields of LocalResult."""

    def client_update(params, opt_state, batches):
        def step(carry, batch):
            params, opt_state = carry
            loss, grads = jax.value_and_grad(client_loss, argnums=2)(
                model, base, params, batch
            )
            carry = client_step(tx, params, opt_state, grads, batch.present)
            return carry, (loss, optax.tree.norm(grads), grads)

        carry, out = jax.lax.scan(step, (params, opt_state), batches)
        return carry, out

    carry, out = jax.vmap(client_update)(bank, opt_state, batches)
    losses, norms, grads = out  # [C, S], [C, S], [C, S, ...]
    reports = (
        jnp.where(batches.present.T, x.T, jnp.nan) for x in (losses, norms)
    )
    return *carry, *reports, jax.tree.map(lambda g: g[:, 0], grads)


@functools.partial(jax.jit, static_argnames='model')
def cohort_gradients(model, base, bank, batches: Batch):
    """vmap over clients of the loss and its gradient on one batch."""
    one = jax.value_and_grad(client_loss, argnums=2)
    return jax.vmap(one, in_axes=(None, None, 0, 0))(model, base, bank, batches)


@functools.partial(jax.jit, static_argnames='model')
def cohort_hessian_products(model, base, bank, tangents, batches: Batch):
    """vmap over clients of the Hessian of one batch's loss times a tree."""
    model = model.with_kernel(None)  # a kernel has no forward derivative

    def one(params, tangent, batch):
        def gradient(params):
            return jax.grad(client_loss, argnums=2)(model, base, params, batch)

        return jax.jvp(gradient, (params,), (tangent,))[1]

    return jax.vmap(one)(bank, tangents, batches)


class VmappedSimulation:
    """Trains cohorts by vmap; the same methods as PackedSimulation."""

    def __init__(self, model: TunedModel, base, loss: str, place_rows) -> None:
        self.model, self.base, self.loss, self.place_rows = (
            model,
            base,
            loss,
            place_rows,
        )

    def gradients(
        self, bank, examples: Sequence[Example]
    ) -> tuple[jax.Array, Any]:
        """See PackedSimulation.gradients; no owners share a row here."""
        batches = pad_batches(
            self.model.packer(), [examples], num_owners(bank), self.loss
        )
        batch = jax.tree.map(lambda x: x[:, 0], batches)
        return cohort_gradients(
            self.model, self.base, bank, self.place_rows(batch)
        )

    def losses(self, bank, examples: Sequence[Example]) -> jax.Array:
        """See PackedSimulation.losses."""
        return self.gradients(bank, examples)[0]

    def hessian_products(
        self, bank, tangents, examples: Sequence[Example]
    ) -> Any:
        """See PackedSimulation.hessian_products."""
        batches = pad_batches(
            self.model.packer(), [examples], num_owners(bank), self.loss
        )
        batch = jax.tree.map(lambda x: x[:, 0], batches)
        return cohort_hessian_products(
            self.model, self.base, bank, tangents, self.place_rows(batch)
        )

    def local_train(
        self,
        tx: optax.GradientTransformation,
        bank,
        opt_state,
        steps: Sequence[Sequence[Example]],
    ) -> LocalResult:
        """See PackedSimulation.local_train; no owners share a row here."""
        batches = pad_batches(
            self.model.packer(), steps, num_owners(bank), self.loss
        )
        return LocalResult(
            *cohort_update(
                self.model,
                tx,
                self.base,
                bank,
                opt_state,
                self.place_rows(batches),
            )
        )

    def prepare(
        self, examples: Sequence[Example], alone: bool = False
    ) -> Sequence[Example]:
        """The examples as they are; see Simulation."""
        del alone  # no owners share a row here
        return examples

    def with_base(self, base) -> 'VmappedSimulation':
        """See PackedSimulation.with_base."""
        return VmappedSimulation(self.model, base, self.loss, self.place_rows)

    def with_model(self, model: TunedModel, base) -> 'VmappedSimulation':
        """See PackedSimulation.with_model."""
        return VmappedSimulation(model, base, self.loss, self.place_rows)

    def compute(self, steps: Sequence[Sequence[Example]]) -> dict[str, int]:
        """See PackedSimulation.compute."""
        return ledger.compute(self.model, steps)


def pad_batches(
    packer: Packer,
    steps: Sequence[Sequence[Example]],
    owners: int,
    loss: str,
) -> Batch:
    """Batches [C, S, ...] padded to the longest example of all."""
    every = [e for examples in steps for e in examples]
    length = packer.prompt_length + max(e.num_tokens for e in every)
    targets = max(e.num_target_tokens for e in every)
    length, targets = (-(-n // MULTIPLE) * MULTIPLE for n in (length, targets))
    size = max(
        np.bincount([e.owner for e in examples], minlength=1).max()
        for examples in steps
    )
    empty = empty_grid(size, Shape(length, targets, (size,)))
    # Every client has `size` rows in every step, most of them padding.
    lead = (owners, len(steps))
    grid = jax.tree.map(lambda x: np.tile(x, (*lead, 1, 1)), empty)
    present = np.zeros(lead, bool)
    for s, examples in enumerate(steps):
        row = np.zeros(owners, int)
        weights = token_weights(examples, loss)
        for i, e in enumerate(examples):
            rows = jax.tree.map(lambda x, at=(e.owner, s): x[at], grid)
            # Inside the vmap a client is the only owner.
            alone = {i: e._replace(owner=0)}
            numbers = range(len(examples))  # each has one target
            packer.write_row(rows, row[e.owner], [i], alone, weights, numbers)
            present[e.owner, s] = True
            row[e.owner] += 1
    return Batch(grid, present)
