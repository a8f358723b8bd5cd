"""Attention against its definition, head by head and token by token."""

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from fedprompt_jax.models import attention
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.layers import Places

ROWS, TOKENS, HEADS, KV_HEADS, SIZE = 2, 4, 6, 2, 8
PARTS = (3, 5)  # tokens of the two parts that are read


def by_definition(q, k, v, mask, scale, cap=0.0, bias=None):
    """Softmax attention in f64; query head i reads key head i // 3."""
    rows, length, heads, size = q.shape
    group = heads // k.shape[2]
    out = np.zeros((rows, length, heads, size))
    for row, token, head in np.ndindex(rows, length, heads):
        score = k[row, :, head // group] @ q[row, token, head] * scale
        if cap:
            score = cap * np.tanh(score / cap)
        if bias is not None:
            score = score + bias[row, head, token]
        score = np.where(mask[row, token], score, -np.inf)
        weight = np.exp(score - score.max())
        out[row, token, head] = weight @ v[row, :, head // group]
        out[row, token, head] /= weight.sum()
    return out.reshape(rows, length, heads * size)


def draw(scale=1.0, dtype=np.float32):
    """Queries, keys and values of all parts joined, a mask and a bias."""
    rng = np.random.default_rng(0)
    q = scale * rng.normal(size=(ROWS, TOKENS, HEADS, SIZE))
    k, v = rng.normal(size=(2, ROWS, sum(PARTS), KV_HEADS, SIZE))
    mask = rng.random((ROWS, TOKENS, sum(PARTS))) < 0.7
    mask[..., 0] = True
    bias = rng.normal(size=(ROWS, HEADS, TOKENS, sum(PARTS)))
    return *(x.astype(dtype) for x in (q, k, v)), mask, bias


def attend(q, k, v, *rest):
    """Our attention over the parts, which are not joined."""
    ends = np.cumsum(PARTS)[:-1]
    read = [
        (jnp.asarray(a), jnp.asarray(b))
        for a, b in zip(
            np.split(k, ends, axis=1), np.split(v, ends, axis=1), strict=True
        )
    ]
    return np.asarray(attention.attend(jnp.asarray(q), read, *rest))


@pytest.mark.parametrize('cap', [0.0, 0.5])
@pytest.mark.parametrize('biased', [True, False])
def test_attention_is_its_definition(cap, biased):
    q, k, v, mask, bias = draw()
    bias = bias.astype(np.float32) if biased else None
    result = attend(q, k, v, jnp.asarray(mask), 0.3, cap, bias)
    expected = by_definition(q, k, v, mask, 0.3, cap, bias)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


def test_a_token_that_reads_nothing_is_no_nan():
    q, k, v, mask, _ = draw()
    mask[1, 2] = False
    result = attend(q, k, v, jnp.asarray(mask), 0.3)
    mean = np.repeat(v[1].mean(axis=0), HEADS // KV_HEADS, axis=0)
    np.testing.assert_allclose(result[1, 2], mean.reshape(-1), rtol=1e-4)


def test_scores_of_bf16_are_not_rounded():
    """A score of 30 in bf16 is off by up to 1/16, a probability by 6 %."""
    q, k, v, mask, _ = draw(30.0, ml_dtypes.bfloat16)
    result = attend(q, k, v, jnp.asarray(mask), 0.3)
    assert result.dtype == ml_dtypes.bfloat16
    wide = [np.float64(x) for x in (q, k, v)]
    expected = by_definition(*wide, mask, 0.3)
    off = np.abs(np.float64(result) - expected).max()
    assert off < 2.0**-8 * 2 * np.abs(v).astype(float).max()


def test_sums_over_parts_are_rounded_once():
    """Values of the two parts nearly cancel: 375 and -375 of eighths."""
    q, k, v, mask, _ = draw(0.0, ml_dtypes.bfloat16)
    v = (v + np.repeat([1000, -600], PARTS)[:, None, None]).astype(v.dtype)
    result = attend(q, k, v, jnp.ones_like(mask), 0.3)
    mean = np.repeat(np.float64(v).mean(axis=1), HEADS // KV_HEADS, axis=1)
    expected = np.broadcast_to(mean.reshape(ROWS, 1, -1), result.shape)
    off = np.abs(np.float64(result) - expected)
    assert np.all(off <= 2.0**-8 * np.abs(expected) + 1e-3)


def test_slots_that_a_layer_lacks_are_not_read():
    """They are as good as absent, in the cache and in the row itself."""
    config = ModelConfig(9, 6, 1, 2, 1, 3, 5, 1e-5, True, 9)
    rng = np.random.default_rng(0)
    shapes = {'query': (6, 6), 'key': (6, 3), 'value': (6, 3), 'output': (6, 6)}
    params = {
        name: {'kernel': jnp.asarray(rng.normal(size=shape), jnp.float32)}
        for name, shape in shapes.items()
    }
    x = jnp.asarray(rng.normal(size=(1, 3, 6)), jnp.float32)
    past = jnp.asarray(rng.normal(size=(2, 1, 4, 1, 3)), jnp.float32)

    def call(x, slots, past, past_slots, peft):
        places = Places(
            jnp.arange(len(slots))[None],
            jnp.zeros((1, len(slots)), int),
            jnp.array([slots]),
        )
        mask = jnp.ones((1, len(slots), len(past_slots) + len(slots)), bool)
        variables = {'params': params, 'peft': peft}
        return attention.Attention(config).apply(
            variables, x, None, mask, None, [tuple(past)], places,
            jnp.array([past_slots]),
        )[0]  # fmt: skip

    short = {'prefix_length': jnp.array([[2]])}
    # Of slots 0 to 3 in the cache, two.
    result = call(x, [-1, -1, -1], past, [0, 1, 2, 3], short)
    expected = call(x, [-1, -1, -1], past[:, :, :2], [0, 1], {})
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    # Slots 0 and 2 in the row, behind tokens in the cache: one.
    result = call(x, [0, 2, -1], past, [-1] * 4, short)[:, ::2]
    expected = call(x[:, ::2], [0, -1], past, [-1] * 4, {})
    np.testing.assert_allclose(result, expected, rtol=1e-5)
