"""Losses and gradients of the owners of a packed grid, in one call."""

import functools

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.owners import finite_owners, num_owners, select
from fedprompt_jax.bank.reading import target_states
from fedprompt_jax.data.packing import Grid
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
    bound = model.bind_rows(base, bank, len(grid.tokens))
    hidden = target_states(bound, grid)
    return token_losses(bound.logits, hidden, grid.target_label)


@functools.partial(jax.jit, static_argnames='model')
def grid_owner_losses(model: TunedModel, base, bank, grid: Grid) -> jax.Array:
    """Each owner's loss f32 [C] on a grid; NaN where it is non-finite."""
    finite = finite_owners(bank)
    # See grid_gradients: zeros in its place.
    losses = _sums(model, base, select(finite, bank, 0.0), grid)
    return select(finite, losses, jnp.nan)


@functools.partial(jax.jit, static_argnames='model')
def grid_gradients(model: TunedModel, base, bank, grid: Grid):
    """Each owner's loss f32 [C] on a grid, and its gradient like the bank.

    An owner's loss depends on its own leaf alone, so the gradient of the sum
    holds the gradient of each. A non-finite owner gets NaN for both and is
    kept from its neighbours in the row.
    """
    finite = finite_owners(bank)

    def loss(bank):
        losses = _sums(model, base, bank, grid)
        return losses.sum(), losses

    # A non-finite owner reads as zero, since 0 * NaN is NaN in a mask's sum.
    safe = select(finite, bank, 0.0)
    (_, losses), grads = jax.value_and_grad(loss, has_aux=True)(safe)
    return select(finite, (losses, grads), jnp.nan)


@functools.partial(jax.jit, static_argnames='model')
def grid_hessian_products(model: TunedModel, base, bank, tangents, grid: Grid):
    """H_c v_c of each owner, like the bank: its loss's Hessian times a tree.

    Forward over reverse: the derivative of the gradients along the tangents.

    Args:
      model: the language model.
      base: its parameters.
      bank: trained parameters of C owners, leaves [C, ...].
      tangents: v_c of each owner, like the bank.
      grid: a packed grid.
    """

    model = model.with_kernel(None)  # a kernel has no forward derivative

    def gradients(bank):
        return grid_gradients(model, base, bank, grid)[1]

    return jax.jvp(gradients, (bank,), (tangents,))[1]


def _sums(model: TunedModel, base, bank, grid: Grid) -> jax.Array:
    """Each owner's loss f32 [C] on a grid, of owners that are finite."""
    owners = num_owners(bank)
    # [R, K]: a token's share of its owner's loss.
    weighted = grid.target_weight * grid_losses(model, base, bank, grid)
    # Places without a target go to one owner more, who is dropped.
    owner = jnp.where(grid.target_owner < 0, owners, grid.target_owner)
    # [C]: the sum over each owner's tokens, in whatever rows they are.
    return jnp.zeros(owners + 1).at[owner].add(weighted)[:-1]
