"""Rotary frequencies and rotations against their formulas, one by one."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.models import rotary
from fedprompt_jax.models.config import Rotary

# (head dimension, theta, factor, low, high, original positions)
LLAMA_31 = (128, 500_000.0, 8.0, 1.0, 4.0, 8192.0)
LLAMA_32 = (64, 500_000.0, 32.0, 1.0, 4.0, 8192.0)
SMALL = (32, 100.0, 3.0, 2.0, 5.0, 64.0)


def scaled(n, theta, factor, low, high, original) -> list[float]:
    """Llama 3.1's frequencies: how often a wave fits the original length.

    Waves that fit it `high` times or more stay, those that fit it `low` times
    or less are `factor` times longer, and the share that stays grows linearly
    in between.
    """
    found = []
    for i in range(n // 2):
        turn = theta ** (-2 * i / n)
        fits = original * turn / (2 * math.pi)
        stays = min(1.0, max(0.0, (fits - low) / (high - low)))
        found.append(stays * turn + (1 - stays) * turn / factor)
    return found


def on_the_ramp(n, theta, factor, low, high, original) -> int:
    """How many frequencies lie strictly between the bounds."""
    turns = theta ** -(np.arange(0, n, 2) / n)
    fits = original * turns / (2 * np.pi)
    return int(((low < fits) & (fits < high)).sum())


@pytest.mark.parametrize('model', [LLAMA_31, LLAMA_32, SMALL])
def test_llama_3_slows_long_waves_with_a_ramp_up_to_them(model):
    n, theta, *rest = model
    assert on_the_ramp(*model) >= 3
    found = rotary.frequencies(n, Rotary(theta, llama3=tuple(rest)))
    np.testing.assert_allclose(found, scaled(*model), rtol=1e-5)


def test_the_ramp_by_hand():
    """theta^(-2i/n) with n = 8, theta = 16: 1, 1/2, 1/4, 1/8."""
    positions = 4 * math.pi  # waves fit it 2, 1, 1/2 and 1/4 times
    llama3 = (4.0, 0.25, 1.25, positions)
    found = rotary.frequencies(8, Rotary(16.0, llama3=llama3))
    # 2 > 1.25: as it is; 1: three quarters stay; 1/2: a quarter; 1/4: none.
    third = (0.25 + 0.75 / 4) / 4
    expected = [1, (0.75 + 0.25 / 4) / 2, third, 1 / 8 / 4]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_plain_frequencies_are_powers_of_theta_and_linear_ones_slower():
    powers = [10_000.0 ** (-2 * i / 16) for i in range(8)]
    found = rotary.frequencies(16, Rotary(10_000.0))
    np.testing.assert_allclose(found, powers, rtol=1e-6)
    slow = rotary.frequencies(16, Rotary(10_000.0, factor=4.0))
    np.testing.assert_allclose(slow, np.array(powers) / 4, rtol=1e-6)


def test_a_rotation_is_a_product_with_a_complex_number():
    """Dimension i is the real part of a pair, i + n / 2 the other part."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 3, 2, 12)).astype(np.float32)
    kind = Rotary(100.0, fraction=2 / 3)  # 8 of 12 dimensions turn
    places = np.array([[0, 5, 41]])
    turn = rotary.table(jnp.asarray(places), 12, kind)
    found = np.asarray(rotary.rotate(jnp.asarray(x), turn))
    pairs = x[..., :4] + 1j * x[..., 4:8]
    angle = places[0][:, None] * 100.0 ** (-np.arange(4) / 4)
    turned = pairs * np.exp(1j * angle)[None, :, None]
    expected = [turned.real, turned.imag, x[..., 8:]]
    np.testing.assert_allclose(
        found, np.concatenate(expected, axis=-1), atol=1e-5
    )
