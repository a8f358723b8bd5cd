"""Norms, activations, MLP and linear layers against their formulas."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.models import layers
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.linear import Linear

CONFIG = ModelConfig(
    vocab_size=7,
    width=6,
    num_layers=1,
    num_heads=2,
    num_kv_heads=1,
    head_dim=3,
    mlp_width=5,
    norm_eps=1e-5,
    tied_embeddings=True,
    max_positions=9,
)


def normal(seed, *shape, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, shape).astype(np.float32)


def small():
    """Rows [2, 3, 6] whose variance is about epsilon, and far from mean 0."""
    return normal(0, 2, 3, 6, scale=3e-3) + np.float32(2e-3)


@pytest.mark.parametrize(('kind', 'plus'), [('rms', 0), ('rms_plus_one', 1)])
def test_rms_norm_is_its_formula(kind, plus):
    x, scale = small(), normal(1, 6)
    norm = layers.norm(dataclasses.replace(CONFIG, norm=kind), None)
    result = norm.apply({'params': {'scale': scale}}, x)
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(result, x / rms * (scale + plus), rtol=1e-5)


def test_layer_norm_is_its_formula():
    x, scale, bias = small(), normal(1, 6), normal(2, 6)
    norm = layers.norm(dataclasses.replace(CONFIG, norm='layer'), None)
    result = norm.apply({'params': {'scale': scale, 'bias': bias}}, x)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    expected = (x - x.mean(axis=-1, keepdims=True)) / deviation * scale + bias
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


FORMULAS = {
    'silu': lambda x: x / (1 + math.exp(-x)),
    'relu': lambda x: max(x, 0.0),
    'gelu': lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    'gelu_tanh': lambda x: (
        x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    ),
}


@pytest.mark.parametrize('name', layers.ACTIVATIONS)
def test_an_activation_is_its_formula(name):
    x = np.linspace(-4, 4, 41, dtype=np.float32)
    expected = [FORMULAS[name](float(value)) for value in x]
    result = layers.ACTIVATIONS[name](jnp.asarray(x))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_a_cap_bends_and_no_cap_does_nothing():
    x = np.array([-100.0, -1.0, 0.0, 3.0, 100.0], np.float32)
    result = layers.soft_cap(jnp.asarray(x), 5.0)
    np.testing.assert_allclose(result, 5 * np.tanh(x / 5), rtol=1e-6)
    np.testing.assert_array_equal(layers.soft_cap(jnp.asarray(x), 0.0), x)


@pytest.mark.parametrize('gated', [True, False])
def test_an_mlp_is_its_formula(gated):
    config = dataclasses.replace(
        CONFIG, gated=gated, mlp_bias=True, activation='relu'
    )
    sizes = {'gate': (6, 5), 'up': (6, 5), 'down': (5, 6)}
    kernel = {n: normal(i, *s) for i, (n, s) in enumerate(sizes.items())}
    bias = {n: normal(i, s[1]) for i, (n, s) in enumerate(sizes.items(), 9)}
    x = normal(5, 1, 4, 6)
    params = {
        name: {'kernel': kernel[name], 'bias': bias[name]}
        for name in sizes
        if gated or name != 'gate'
    }
    owner = jnp.zeros((1, 4), int)
    result = layers.MLP(config).apply({'params': params}, x, owner)
    up = x @ kernel['up'] + bias['up']
    if gated:
        inner = np.maximum(x @ kernel['gate'] + bias['gate'], 0) * up
    else:
        inner = np.maximum(up, 0)
    expected = inner @ kernel['down'] + bias['down']
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


# What owners add to a linear layer: rows of two owners of three, and padding
# (-1) before and behind.
OWNER = np.array([[-1, 2, 2, -1], [1, 1, -1, -1]])


def linear(peft):
    """(input, kernel, bias, output) of a layer with trained parameters."""
    x, kernel, bias = normal(0, 2, 4, 6), normal(1, 6, 5), normal(2, 5)
    grouped = {name: x[None] for name, x in peft.items()}
    variables = {'params': {'kernel': kernel, 'bias': bias}, 'peft': grouped}
    result = Linear(5, True).apply(variables, x, jnp.asarray(OWNER))
    return x, kernel, bias, np.asarray(result)


def test_lora_adds_the_product_of_the_row_s_owner():
    a, b = normal(3, 3, 6, 2), normal(4, 3, 2, 5)
    x, kernel, bias, result = linear({'lora_a': a, 'lora_b': b})
    for row, token in np.argwhere(OWNER >= 0):
        owner = OWNER[row, token]
        whole = kernel + a[owner] @ b[owner]
        expected = x[row, token] @ whole + bias
        np.testing.assert_allclose(result[row, token], expected, rtol=1e-4)


def test_ia3_multiplies_by_the_vector_of_each_token_s_owner():
    into, out = normal(3, 3, 6), normal(4, 3, 5)
    x, kernel, bias, result = linear({'ia3_in': into, 'ia3_out': out})
    for row, token in np.argwhere(OWNER >= 0):
        owner = OWNER[row, token]
        y = (x[row, token] * into[owner]) @ kernel + bias
        expected = y * out[owner]
        np.testing.assert_allclose(result[row, token], expected, rtol=1e-4)
