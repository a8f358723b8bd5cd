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

from fedprompt_jax.data.examples import Example, token_weights
from fedprompt_jax.federated.client import LocalResult, client_step
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.token_loss import token_losses
from fedprompt_jax.peft.tuned import TunedModel

LENGTH_MULTIPLE = 32  # lengths are padded to it, to bound the compilations


class Batch(NamedTuple):
    """Padded batches; leading axes [C, S] outside, none inside the client.

    Attributes:
      tokens: int32 [B, L] query and target, padded on the right.
      target_index: int32 [B, K] column (the prompt not counted) of the token
        that predicts each target.
      target_label: int32 [B, K].
      target_weight: f32 [B, K], 0 on padding.
      present: bool scalar: whether there is any example.
    """

    tokens: np.ndarray
    target_index: np.ndarray
    target_label: np.ndarray
    target_weight: np.ndarray
    present: np.ndarray


def client_loss(model: TunedModel, base, params, batch: Batch) -> jax.Array:
    """Scalar loss of one client on one padded batch."""
    slots, rows = model.kind.slots, len(batch.tokens)
    tokens = jnp.pad(batch.tokens, ((0, 0), (slots, 0)))
    column = jnp.arange(tokens.shape[1])
    first = model.kind.first_position
    position = jnp.where(column < slots, column, column - slots + first)
    slot = jnp.where(column < slots, column, -1)
    # Padding stands on the right, where a causal mask already hides it.
    mask = column[:, None] >= column
    places, mask = jax.tree.map(
        lambda x: jnp.broadcast_to(x, (rows, *x.shape)),
        (Places(position, jnp.zeros_like(column), slot), mask),
    )
    bound = model.bind(base, jax.tree.map(lambda x: x[None], params))
    hidden, _ = bound.hidden_states(tokens, places, mask)
    index = batch.target_index + slots
    losses = token_losses(bound.logits, hidden, index, batch.target_label)
    return (batch.target_weight * losses).sum()


@functools.partial(jax.jit, static_argnames=('model', 'tx'))
def cohort_update(model, tx, base, bank, opt_state, batches: Batch):
    """vmap over clients of a scan over steps; returns what LocalResult has."""

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

    return jax.vmap(client_update)(bank, opt_state, batches)


@functools.partial(jax.jit, static_argnames='model')
def cohort_gradients(model, base, bank, batches: Batch):
    """vmap over clients of the loss and its gradient on one batch."""
    one = jax.value_and_grad(client_loss, argnums=2)
    return jax.vmap(one, in_axes=(None, None, 0, 0))(model, base, bank, batches)


class VmappedSimulation:
    """Trains cohorts by vmap; the same methods as PackedSimulation."""

    def __init__(self, model: TunedModel, base, loss: str, put) -> None:
        self.model, self.base, self.loss, self.put = model, base, loss, put

    def gradients(
        self, bank, examples: Sequence[Example], isolate: bool = False
    ) -> tuple[jax.Array, Any]:
        """See PackedSimulation.gradients; owners are always isolated here."""
        del isolate
        num_owners = len(jax.tree.leaves(bank)[0])
        batches = pad_batches([examples], num_owners, self.loss)
        batch = jax.tree.map(lambda x: x[:, 0], batches)
        return cohort_gradients(self.model, self.base, bank, self.put(batch))

    def local_train(
        self,
        tx: optax.GradientTransformation,
        bank,
        opt_state,
        steps: Sequence[Sequence[Example]],
        isolate: bool = False,
    ) -> LocalResult:
        """See PackedSimulation.local_train; always isolated here."""
        del isolate
        num_owners = len(jax.tree.leaves(bank)[0])
        batches = pad_batches(steps, num_owners, self.loss)
        (bank, opt_state), (losses, norms, grads) = cohort_update(
            self.model, tx, self.base, bank, opt_state, self.put(batches)
        )
        first = jax.tree.map(lambda g: g[:, 0], grads)
        present = batches.present.T  # [S, C]
        losses, norms = (
            np.where(present, np.asarray(x).T, np.nan) for x in (losses, norms)
        )
        return LocalResult(bank, opt_state, losses, norms, first)


def pad_batches(
    steps: Sequence[Sequence[Example]], num_owners: int, loss: str
) -> Batch:
    """Batches [C, S, ...] padded to the longest example of all."""
    every = [e for examples in steps for e in examples]
    length = max(e.num_tokens for e in every)
    length = -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    targets = max(len(e.target) for e in every)
    targets = -(-targets // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
    owners = [[e.owner for e in examples] for examples in steps]
    size = max(np.bincount(o, minlength=1).max() for o in owners)
    lead = (num_owners, len(steps))
    batch = Batch(
        tokens=np.zeros((*lead, size, length), np.int32),
        target_index=np.zeros((*lead, size, targets), np.int32),
        target_label=np.zeros((*lead, size, targets), np.int32),
        target_weight=np.zeros((*lead, size, targets), np.float32),
        present=np.zeros(lead, bool),
    )
    for s, examples in enumerate(steps):
        used = np.zeros(num_owners, int)
        weights = token_weights(examples, loss)
        for e, weight in zip(examples, weights, strict=True):
            at = (e.owner, s, used[e.owner])
            n, t = e.num_tokens, len(e.target)
            batch.tokens[at][:n] = np.concatenate([e.query, e.target[:-1]])
            batch.target_index[at][:t] = np.arange(n - t, n)
            batch.target_label[at][:t] = e.target
            batch.target_weight[at][:t] = weight
            batch.present[e.owner, s] = True
            used[e.owner] += 1
    return batch
