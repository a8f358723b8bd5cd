"""Spectra from products alone, and the share of layers read from them."""

import dataclasses

import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax.federated.layers import lanczos, spectrum
from fedprompt_jax.federated.layers.lanczos import Quadrature
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from tests import plain


def symmetric(rng, size: int) -> np.ndarray:
    matrix = rng.normal(size=(size, size))
    return (matrix + matrix.T) / 2


def product_with(matrix):
    return lambda v: jnp.asarray(matrix, jnp.float32) @ v


def test_as_many_steps_as_rows_give_all_eigenvalues():
    rng = np.random.default_rng(0)
    matrix = symmetric(rng, 40)
    found = lanczos.quadrature(product_with(matrix), rng.normal(size=40), 40)
    np.testing.assert_allclose(
        found.nodes, np.linalg.eigvalsh(matrix), atol=1e-5
    )


def test_weights_are_shares_of_the_probe():
    """Of each eigenvector: the squared part of the probe along it."""
    rng = np.random.default_rng(1)
    matrix, probe = symmetric(rng, 12), rng.normal(size=12)
    found = lanczos.quadrature(product_with(matrix), probe, 12)
    _, vectors = np.linalg.eigh(matrix)
    shares = (vectors.T @ (probe / np.linalg.norm(probe))) ** 2
    np.testing.assert_allclose(found.weights, shares, atol=1e-5)


def test_no_eigenvalue_is_found_twice():
    """Without orthogonalisation f32 finds the largest again and again."""
    rng = np.random.default_rng(2)
    values = np.append(np.linspace(0, 1, 199), 100.0)
    turn, _ = np.linalg.qr(rng.normal(size=(200, 200)))
    matrix = turn @ np.diag(values) @ turn.T
    found = lanczos.quadrature(product_with(matrix), rng.normal(size=200), 60)
    assert len(found.nodes) == 60
    assert (found.nodes > 50).sum() == 1
    assert found.nodes[-1] == pytest.approx(100.0, rel=1e-5)


def test_it_ends_where_nothing_new_comes():
    """Three different eigenvalues: three steps."""
    values = np.repeat([1.0, 2.0, 5.0], 10)
    found = lanczos.quadrature(
        product_with(np.diag(values)), np.ones(30), steps=20
    )
    np.testing.assert_allclose(found.nodes, [1, 2, 5], atol=1e-4)
    np.testing.assert_allclose(found.weights, [1 / 3] * 3, atol=1e-4)


@pytest.mark.parametrize('kind', ['packed', 'vmapped'])
def test_products_with_a_loss_s_hessian(kind, model, lm):
    """Its rows, one product each, against jax.hessian of the plain loss."""
    rng = np.random.default_rng(3)
    bank = plain.random_bank(rng, 2)
    examples = plain.random_examples(rng, (1, 2))
    simulation = {
        'packed': PackedSimulation(
            model, lm.base, plain.PACKER, 'sequence', plain.same
        ),
        'vmapped': VmappedSimulation(model, lm.base, 'sequence', plain.same),
    }[kind]
    tangent = plain.random_bank(rng, 2)
    found = simulation.hessian_products(bank, tangent, examples)

    def gradients(bank):
        return plain.gradients(model, lm.base, bank, examples, 'sequence')[1]

    # Central differences of the plain gradients, in the tangent's direction.
    step = 1e-2
    moved = [
        gradients(optax.tree.add_scale(bank, h, tangent)) for h in (step, -step)
    ]
    expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), *moved)
    a, b = ravel_pytree(found)[0], ravel_pytree(expected)[0]
    assert float(jnp.linalg.norm(a - b)) < 0.01 * float(jnp.linalg.norm(b))


def test_the_hessian_of_a_small_prompt(model, lm):
    """All of its eigenvalues, from products and from the whole matrix."""
    rng = np.random.default_rng(4)
    bank = plain.random_bank(rng, 1, length=1)
    examples = plain.random_examples(rng, (2,))
    simulation = VmappedSimulation(
        model_of(model, 1), lm.base, 'sequence', plain.same
    )
    flat, tree_of = ravel_pytree(bank)

    def product(v):
        made = simulation.hessian_products(bank, tree_of(v), examples)
        return ravel_pytree(made)[0]

    matrix = np.stack([np.asarray(product(e)) for e in np.eye(len(flat))])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-4)
    found = lanczos.quadrature(product, rng.normal(size=len(flat)), len(flat))
    np.testing.assert_allclose(
        found.nodes, np.linalg.eigvalsh(matrix), atol=1e-4
    )


def model_of(model, length: int):
    kind = dataclasses.replace(model.kind, length=length)
    return dataclasses.replace(model, kind=kind)


def test_half_a_spectrum_at_zero_is_a_plateau_of_a_half():
    half = Quadrature(np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    assert spectrum.plateau(half) == pytest.approx(0.5, abs=1e-6)


def test_steps_are_halved_until_the_shares_fall_slowly():
    """At 0.1, 0.05 ... nothing is left of this spectrum."""
    small = Quadrature(np.array([0.001, 0.03]), np.array([0.4, 0.6]))
    assert spectrum.plateau(small) == pytest.approx(0.6, abs=0.01)


def test_the_density_is_all_of_the_spectrum():
    nodes = np.array([-1.0, 2.0, 3.0])
    weights = np.array([0.2, 0.3, 0.5])
    smooth = spectrum.density(Quadrature(nodes, weights))
    assert smooth.above(-2) == pytest.approx(1.0)
    assert smooth.above(0) == pytest.approx(0.8, abs=1e-6)
    assert smooth.above(2.5) == pytest.approx(0.5, abs=1e-6)
    assert smooth.above(4) == 0
