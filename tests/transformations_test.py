"""Laws of what is chained before a client optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fedprompt_jax.federated import transformations

BANK = {'p': jnp.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])}
GRADS = {'p': jnp.array([[0.5, 1.0, -1.0], [2.0, -0.5, 0.25]])}


def step(tx, state):
    """One vmapped step of SGD of rate 1 behind the transformation."""
    tx = optax.chain(tx, optax.sgd(1.0))
    started = jax.vmap(tx.init)(BANK)
    updates, after = jax.vmap(tx.update)(GRADS, (state, started[1]), BANK)
    return optax.apply_updates(BANK, updates)['p'], after[0]


def test_a_correction_is_added_to_the_gradient_of_each_owner():
    correction = {'p': jnp.array([[1.0, 0.0, 0.0], [0.0, -2.0, 0.5]])}
    moved, after = step(transformations.add_correction(), correction)
    np.testing.assert_array_equal(
        moved, BANK['p'] - GRADS['p'] - correction['p']
    )
    np.testing.assert_array_equal(after['p'], correction['p'])  # it stays


def test_a_mask_keeps_what_it_hides_as_it_is():
    flags = {'p': jnp.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])}
    moved, after = step(transformations.mask(), flags)
    hidden = flags['p'] == 0
    np.testing.assert_array_equal(moved[hidden], BANK['p'][hidden])
    shown = BANK['p'] - GRADS['p']
    np.testing.assert_array_equal(moved[~hidden], shown[~hidden])
    np.testing.assert_array_equal(after['p'], flags['p'])


def test_both_do_nothing_at_first():
    for make in (transformations.add_correction, transformations.mask):
        moved, _ = step(make(), jax.vmap(make().init)(BANK))
        np.testing.assert_array_equal(moved, BANK['p'] - GRADS['p'])
