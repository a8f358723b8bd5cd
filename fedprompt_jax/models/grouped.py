"""Trained parameters [G, C, ...]: of the C owners of each of G groups of rows.

R rows are G groups of R / G neighbours, and the owners of a group are numbered
for themselves. Rows that are cut over devices have a copy of the bank for each
device: the gradient of a layer's copy is that of the device's rows, and devices
sum it once, behind all layers (mesh.Copies). Rows that are generated are groups
of one row with one owner, whose parameters are read where they are.
"""

import jax
import jax.numpy as jnp


def take(grouped: jax.Array, owner: jax.Array, *more: jax.Array) -> jax.Array:
    """The parameters of each owner.

    Two groups of one row each, with two owners:

        >>> bank = jnp.array([[10, 11], [20, 21]])
        >>> print(take(bank, jnp.array([[0, 0, 1], [1, 1, 0]])))
        [[10 10 11]
         [21 21 20]]

    Args:
      grouped: [G, C, ...].
      owner: int [R, ...], from 0 to C - 1.
      *more: indices like `owner` into the axes that follow.

    Returns:
      [R, ..., ...]: what `owner` and `more` point to in a row's group.
    """
    groups, owners = grouped.shape[:2]
    split = groups, len(owner) // groups
    index = [i.reshape(*split, *i.shape[1:]) for i in (owner, *more)]

    def of_group(params, owner, *more):
        if owners > 1 or more:
            return params[owner, *more]
        # Of the only owner: nothing has to be looked up.
        return jnp.broadcast_to(params[0], (*owner.shape, *params.shape[1:]))

    taken = jax.vmap(of_group)(grouped, *index)
    return taken.reshape(len(owner), *taken.shape[2:])


def one_group(bank):
    """A bank, leaves [C, ...], of all rows: leaves [1, C, ...]."""
    return jax.tree.map(lambda x: x[None], bank)


def one_owner_a_row(bank):
    """A bank whose owner n has row n, leaves [N, ...]: leaves [N, 1, ...].

    In its rows, every token's owner is 0.
    """
    return jax.tree.map(lambda x: x[:, None], bank)
