"""The parts of a Llama-style block: RMSNorm, rotary positions, attention, MLP.

Shapes: R rows, L tokens of a row, M past tokens, D width, H query heads,
K key heads, G = H / K query heads a key head, h head dimension.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models.config import DecoderConfig

# Keys and values of tokens already seen, each [R, M, K, h]; stacked over
# layers they are [layers, R, M, K, h].
KeysValues = tuple[jax.Array, jax.Array]


def rotary_table(positions: jax.Array, head_dim: int, theta: float):
    """Cosine and sine of every position's angles, each f32 [R, L, h / 2]."""
    frequency = theta ** (-jnp.arange(0, head_dim, 2) / head_dim)
    angle = positions[..., None].astype(jnp.float32) * frequency
    return jnp.cos(angle), jnp.sin(angle)


def rotate(x: jax.Array, rotary) -> jax.Array:
    """x [R, L, heads, h] turned by its positions (first half with second)."""
    cos, sin = (t[:, :, None, :] for t in rotary)
    a, b = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return turned.astype(x.dtype)


class RMSNorm(nn.Module):
    """x / rms(x) * scale, computed in f32."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param('scale', nn.initializers.ones, (x.shape[-1],))
        y = x.astype(jnp.float32)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        return (y * scale.astype(jnp.float32)).astype(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention over the row and what came before it."""

    config: DecoderConfig

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        rotary,
        mask: jax.Array,
        past: KeysValues | None,
    ) -> tuple[jax.Array, KeysValues]:
        """Returns the output [R, L, D] and this call's own keys and values.

        mask is bool [R, L, M + L]: which past and present tokens each token
        may read.
        """
        c = self.config
        rows, length, _ = x.shape

        def heads(name, n):
            y = nn.Dense(n * c.head_dim, use_bias=False, name=name)(x)
            return y.reshape(rows, length, n, c.head_dim)

        q = rotate(heads('query', c.num_heads), rotary)
        k = rotate(heads('key', c.num_kv_heads), rotary)
        v = heads('value', c.num_kv_heads)
        own = (k, v)
        if past is not None:
            k = jnp.concatenate([past[0].astype(k.dtype), k], axis=1)
            v = jnp.concatenate([past[1].astype(v.dtype), v], axis=1)
        out = attend(q, k, v, mask)
        return nn.Dense(c.width, use_bias=False, name='output')(out), own


def attend(q, k, v, mask) -> jax.Array:
    """Softmax attention, in f32 from the scores to the probabilities.

    Args:
      q: [R, L, H, h].
      k: [R, S, K, h], S = M + L.
      v: [R, S, K, h].
      mask: bool [R, L, S]. A row without any True gives a uniform average.

    Returns:
      [R, L, H * h].
    """
    rows, length, num_heads, head_dim = q.shape
    groups = num_heads // k.shape[2]
    q = q.reshape(rows, length, k.shape[2], groups, head_dim)
    score = jnp.einsum(
        'rlkgh,rskh->rkgls', q, k, preferred_element_type=jnp.float32
    )
    score = jnp.where(mask[:, None, None], score * head_dim**-0.5, -1e30)
    weight = jax.nn.softmax(score, axis=-1).astype(v.dtype)
    out = jnp.einsum('rkgls,rskh->rlkgh', weight, v)
    return out.reshape(rows, length, num_heads * head_dim)


class GatedMLP(nn.Module):
    """down(silu(gate x) * up x)."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        def dense(name, width):
            return nn.Dense(width, use_bias=False, name=name)

        gate = dense('gate', self.config.mlp_width)(x)
        up = dense('up', self.config.mlp_width)(x)
        return dense('down', self.config.width)(nn.silu(gate) * up)
