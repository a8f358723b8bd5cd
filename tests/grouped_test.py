"""Whose trained parameters a row reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.models import grouped

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('shape', [(2, 3), (3, 1), (1, 4), (6, 1)])
@pytest.mark.parametrize('index', [(6,), (6, 5)])
def test_rows_read_their_group_s_owner(shape, index):
    groups, owners = shape
    bank = RNG.normal(size=(*shape, 2)).astype(np.float32)
    owner = RNG.integers(0, owners, index)
    taken = grouped.take(jnp.asarray(bank), jnp.asarray(owner))
    assert taken.shape == (*index, 2)
    for at in np.ndindex(*index):
        group = at[0] // (6 // groups)
        np.testing.assert_array_equal(taken[at], bank[group, owner[at]])


@pytest.mark.parametrize('owners', [1, 3])
def test_a_second_index_points_behind_the_owner(owners):
    bank = RNG.normal(size=(2, owners, 4, 2)).astype(np.float32)
    owner = RNG.integers(0, owners, (6, 5))
    slot = RNG.integers(0, 4, (6, 5))
    taken = grouped.take(*map(jnp.asarray, (bank, owner, slot)))
    for row, token in np.ndindex(6, 5):
        at = row // 3, owner[row, token], slot[row, token]
        np.testing.assert_array_equal(taken[row, token], bank[at])


def test_copies_of_a_bank_have_the_gradient_of_their_rows():
    """Their sum is the gradient of the bank that all rows read."""
    bank = jnp.asarray(RNG.normal(size=(3, 2)).astype(np.float32))
    owner = jnp.asarray(RNG.integers(0, 3, (4, 5)))
    weight = jnp.asarray(RNG.normal(size=(4, 5, 2)).astype(np.float32))

    def loss(bank):
        return (grouped.take(bank, owner) * weight).sum()

    whole = jax.grad(loss)(grouped.one_group(bank))[0]
    parts = jax.grad(loss)(jnp.broadcast_to(bank, (2, 3, 2)))
    np.testing.assert_allclose(parts.sum(axis=0), whole, rtol=1e-5)
    half = jax.grad(lambda b: (b[owner[:2]] * weight[:2]).sum())(bank)
    np.testing.assert_allclose(parts[0], half, rtol=1e-5)
