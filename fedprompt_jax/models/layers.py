"""The parts of a block: norms, projections, attention and MLP.

Shapes: R rows, L tokens of a row, M past tokens, D width, H query heads,
K key heads, G = H / K query heads a key head, h head dimension.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models import rotary as rotary_lib
from fedprompt_jax.models.config import DecoderConfig
from fedprompt_jax.models.linear import Linear

# Keys and values of tokens already seen, each [R, M, K, h]; stacked over
# layers they are [layers, R, M, K, h].
KeysValues = tuple[jax.Array, jax.Array]


class Places(NamedTuple):
    """Where tokens stand, and whose they are; int [R, L] each.

    Attributes:
      position: for the positional encoding.
      owner: index into the bank of trained parameters; negative for padding.
      slot: 0 ... P-1 on an owner's virtual tokens, negative elsewhere.
    """

    position: jax.Array
    owner: jax.Array
    slot: jax.Array

    @classmethod
    def plain(cls, position: jax.Array) -> 'Places':
        """Of tokens of a model that nothing was trained for."""
        nothing = jnp.full_like(position, -1)
        return cls(position, nothing, nothing)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'silu': nn.silu,
    'relu': nn.relu,
    'gelu': lambda x: nn.gelu(x, approximate=False),
    'gelu_tanh': lambda x: nn.gelu(x, approximate=True),
}


class RMSNorm(nn.Module):
    """x / rms(x) * (scale + plus), computed in f32."""

    epsilon: float
    plus: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param('scale', nn.initializers.ones, (x.shape[-1],))
        y = x.astype(jnp.float32)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        return (y * (scale.astype(jnp.float32) + self.plus)).astype(x.dtype)


class LayerNorm(nn.Module):
    """(x - mean) / deviation * scale + bias, computed in f32."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param('scale', nn.initializers.ones, (x.shape[-1],))
        bias = self.param('bias', nn.initializers.zeros, (x.shape[-1],))
        y = x.astype(jnp.float32)
        y -= jnp.mean(y, -1, keepdims=True)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        y = y * scale.astype(jnp.float32) + bias.astype(jnp.float32)
        return y.astype(x.dtype)


def norm(config: DecoderConfig, name: str) -> nn.Module:
    """The family's norm of hidden states."""
    if config.norm == 'layer':
        return LayerNorm(config.norm_eps, name=name)
    plus = {'rms': 0.0, 'rms_plus_one': 1.0}[config.norm]
    return RMSNorm(config.norm_eps, plus, name=name)


class Attention(nn.Module):
    """Grouped-query attention over the row and what came before it."""

    config: DecoderConfig

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        turn: rotary_lib.Table | None,
        mask: jax.Array,
        past: KeysValues | None,
        places: Places,
        past_slot: jax.Array | None,
    ) -> tuple[jax.Array, KeysValues]:
        """Returns the output [R, L, D] and this call's own keys and values.

        mask is bool [R, L, M + L]: which past and present tokens each token
        may read.
        """
        c = self.config
        q, k, v = self._split(x, places.owner)
        if c.head_norm:
            plus = 1.0 if c.norm == 'rms_plus_one' else 0.0
            q = RMSNorm(c.norm_eps, plus, name='query_norm')(q)
            k = RMSNorm(c.norm_eps, plus, name='key_norm')(k)
        if turn is not None:
            q, k = rotary_lib.rotate(q, turn), rotary_lib.rotate(k, turn)
        own = k, v = self._with_prefix(k, v, places)
        mask = self._living(mask, places.slot, past_slot)
        if past is not None:
            k = jnp.concatenate([past[0].astype(k.dtype), k], axis=1)
            v = jnp.concatenate([past[1].astype(v.dtype), v], axis=1)
        scale = c.query_scale or c.head_dim**-0.5
        out = attend(q, k, v, mask, scale, c.score_cap)
        output = Linear(c.width, c.output_bias, name='output')
        return output(out, places.owner), own

    def _with_prefix(self, k, v, places: Places) -> KeysValues:
        """Keys and values of slots become those that their owner trains.

        P-tuning v2 (Liu et al. 2022): 'peft' holds prefix_key and
        prefix_value, [C, P, K, h]; they are not turned by a position.
        """
        if not self.has_variable('peft', 'prefix_key'):
            return k, v
        owner = jnp.maximum(places.owner, 0)
        slot = jnp.maximum(places.slot, 0)
        here = (places.slot >= 0)[:, :, None, None]

        def put(name, x):
            rows = self.get_variable('peft', name)[owner, slot]
            return jnp.where(here, rows.astype(x.dtype), x)

        return put('prefix_key', k), put('prefix_value', v)

    def _living(self, mask, slot, past_slot) -> jax.Array:
        """Hides the slots that this layer has no prefix for.

        'peft' holds prefix_length, int32 [C] (equal for all owners), where
        layers differ in it.
        """
        if not self.has_variable('peft', 'prefix_length'):
            return mask
        if past_slot is not None:
            slot = jnp.concatenate([past_slot, slot], axis=1)
        length: jax.Array = self.get_variable('peft', 'prefix_length')[0]
        return mask & (slot < length)[:, None, :]

    def _split(
        self, x: jax.Array, owner: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries [R, L, H, h], keys and values [R, L, K, h]."""
        c = self.config

        def dense(name, heads):
            size = heads * c.head_dim
            return Linear(size, c.attention_bias, name=name)(x, owner)

        def heads(name, n):
            return dense(name, n).reshape(*x.shape[:2], n, c.head_dim)

        if not c.fused:
            n = c.num_kv_heads
            return (
                heads('query', c.num_heads),
                heads('key', n),
                heads('value', n),
            )
        qkv = dense('qkv', 3 * c.num_heads)
        axis = 2 if c.fused == 'parts' else 3
        shape = [c.num_heads, c.head_dim]
        shape.insert(axis - 2, 3)
        qkv = qkv.reshape(*x.shape[:2], *shape)
        q, k, v = jnp.moveaxis(qkv, axis, 0)
        return q, k, v


def attend(q, k, v, mask, scale: float, cap: float = 0.0) -> jax.Array:
    """Softmax attention, in f32 from the scores to the probabilities.

    Args:
      q: [R, L, H, h].
      k: [R, S, K, h], S = M + L.
      v: [R, S, K, h].
      mask: bool [R, L, S]. A row without any True gives a uniform average.
      scale: of the scores.
      cap: scores become cap * tanh(score / cap); 0 for none.

    Returns:
      [R, L, H * h].
    """
    rows, length, num_heads, head_dim = q.shape
    groups = num_heads // k.shape[2]
    q = q.reshape(rows, length, k.shape[2], groups, head_dim)
    score = jnp.einsum(
        'rlkgh,rskh->rkgls', q, k, preferred_element_type=jnp.float32
    )
    score = soft_cap(score * scale, cap)
    score = jnp.where(mask[:, None, None], score, -1e30)
    weight = jax.nn.softmax(score, axis=-1).astype(v.dtype)
    out = jnp.einsum('rkgls,rskh->rlkgh', weight, v)
    return out.reshape(rows, length, num_heads * head_dim)


def soft_cap(x: jax.Array, cap: float) -> jax.Array:
    """cap * tanh(x / cap), or x where cap is 0."""
    return cap * jnp.tanh(x / cap) if cap else x


class MLP(nn.Module):
    """down(act(gate x) * up x), or down(act(up x)) where it is not gated."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, x: jax.Array, owner: jax.Array) -> jax.Array:
        c = self.config
        activation = ACTIVATIONS[c.activation]

        def dense(name, x, width=c.mlp_width):
            return Linear(width, c.mlp_bias, name=name)(x, owner)

        if c.gated:
            y = activation(dense('gate', x)) * dense('up', x)
        else:
            y = activation(dense('up', x))
        return dense('down', y, c.width)
