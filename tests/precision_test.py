"""What is computed in f32 where a model's parameters are of bf16."""

import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.models import layers, rotary, source
from fedprompt_jax.models.config import Rotary
from fedprompt_jax.models.transformer import Transformer
from tests import tiny

BF16 = jnp.bfloat16


def rounded(seed, *shape):
    """Normal numbers of bf16."""
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(1, 1, shape), BF16)


@pytest.mark.parametrize(
    'norm',
    [
        layers.RMSNorm(1e-5),
        layers.RMSNorm(1e-5, 1.0),
        layers.LayerNorm(1e-5),
    ],
)
def test_a_norm_is_rounded_once(norm):
    names = ('scale', 'bias')[: 1 + isinstance(norm, layers.LayerNorm)]
    params = {name: rounded(i, 64) / 64 for i, name in enumerate(names, 1)}
    x = rounded(0, 2, 5, 64)
    wide = {name: value.astype(jnp.float32) for name, value in params.items()}
    exact = norm.apply({'params': wide}, x.astype(jnp.float32))
    result = norm.apply({'params': params}, x)
    assert result.dtype == BF16
    np.testing.assert_array_equal(result, exact.astype(BF16))


def test_positions_turn_by_angles_of_f32():
    """bf16 has no 1001: the angle would be off by a quarter of a turn."""
    x = rounded(0, 1, 1, 2, 8)
    turn = rotary.table(jnp.array([[1001]]), 8, Rotary(100.0))
    exact = rotary.rotate(x.astype(jnp.float32), turn)
    result = rotary.rotate(x, turn)
    np.testing.assert_array_equal(result, exact.astype(BF16))
    angle = 1001 * 100.0 ** (-np.arange(4) / 4)
    np.testing.assert_allclose(turn[0][0, 0], np.cos(angle), atol=1e-3)


@pytest.mark.parametrize('tied', [True, False])
def test_logits_are_not_rounded(tied, tmp_path):
    """Of tokens that are nearly as likely, rounding would make ties."""
    lm = source.load(tiny.make_checkpoint(tmp_path, tied=tied), BF16)
    hidden = rounded(0, 5, 32)
    result = Transformer(lm.config).apply(
        {'params': lm.base}, hidden, method='logits'
    )
    assert result.dtype == jnp.float32
    table = lm.base['embed']['embedding'].T
    kernel = table if tied else lm.base['head']['kernel']
    exact = np.float64(hidden) @ np.float64(kernel)
    np.testing.assert_allclose(result, exact, rtol=1e-4, atol=1e-4)
