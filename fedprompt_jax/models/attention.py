"""Attention: over a row and what came before it, or over an encoder's output.

Shapes: R rows, L tokens of a row, M past tokens, S = M + L, D width, H query
heads, K key heads, G = H / K query heads a key head, h head dimension.
"""

from collections.abc import Sequence
import functools
from typing import NamedTuple

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.models import rotary as rotary_lib
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.grouped import take
from fedprompt_jax.models.kernels.choice import Kernel
from fedprompt_jax.models.layers import (
    SAVED,
    Places,
    RMSNorm,
    recomputed,
    soft_cap,
)
from fedprompt_jax.models.linear import Linear
from fedprompt_jax.models.reads import Reads, without

# Keys and values of tokens already seen, each [R, M, K, h]; stacked over
# layers they are [layers, R, M, K, h].
KeysValues = tuple[jax.Array, jax.Array]


class Written(NamedTuple):
    """Keys and values of M tokens, one more of which is written in each step.

    They lie as products read them: each step would else transpose all of them.

    Attributes:
      keys: [R, K, M, h], or [layers, R, K, M, h].
      values: [R, K, h, M], likewise.
    """

    keys: jax.Array
    values: jax.Array

    def by_token(self) -> KeysValues:
        """The same of one layer, [R, M, K, h] each."""
        return self.keys.swapaxes(1, 2), jnp.moveaxis(self.values, -1, 1)


class Memory(NamedTuple):
    """An encoder's output, as a decoder reads it.

    Attributes:
      hidden: [R, S, D], or None where its keys and values are given.
      owner: int [R, S], see Places.
      mask: bool [R, L, S]: which of it each of the L tokens reads.
    """

    hidden: jax.Array | None
    owner: jax.Array
    mask: jax.Array


class Attention(nn.Module):
    """Grouped-query attention over the row and what came before it.

    Attributes:
      config: of the model.
      kernel: what computes a mask that is Reads; None where none is.
    """

    config: ModelConfig
    kernel: Kernel | None = None

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        turn: rotary_lib.Table | None,
        mask: jax.Array | Reads,
        bias: jax.Array | None,
        past: Sequence[KeysValues | Written],
        places: Places,
        past_slot: jax.Array | None,
    ) -> tuple[jax.Array, KeysValues]:
        """Returns the output [R, L, D] and this call's own keys and values.

        mask is bool [R, L, S]: which past and present tokens each token may
        read; bias, [R, H, L, S], is added to the scores. Where nothing is past
        and there is no bias, the mask may be Reads of the rows.
        """
        c = self.config
        q, k, v = self._split(x, places.owner)
        if c.head_norm:
            plus = 1.0 if c.norm == 'rms_plus_one' else 0.0
            q = RMSNorm(c.norm_eps, plus, name='query_norm')(q)
            k = RMSNorm(c.norm_eps, plus, name='key_norm')(k)
        if turn is not None:
            q, k = rotary_lib.rotate(q, turn), rotary_lib.rotate(k, turn)
        new_kv = self._with_prefix(k, v, places)
        mask = self._without_missing_prefix(mask, places.slot, past_slot)
        scale = c.query_scale or c.head_dim**-0.5
        if isinstance(mask, Reads):
            out = self._by_kernel(q, new_kv, mask, scale)
        else:
            known = [
                x.by_token() if isinstance(x, Written) else x for x in past
            ]
            out = attend(q, [*known, new_kv], mask, scale, c.score_cap, bias)
        output = Linear(c.width, c.output_bias, name='output')
        return output(out, places.owner), new_kv

    def _by_kernel(self, q, kv: KeysValues, reads, scale) -> jax.Array:
        assert self.kernel is not None, 'the stack makes a mask without one'
        q, k, v = checkpoint_name((q, *kv), SAVED)
        cap, causal = self.config.score_cap, self.config.causal
        return self.kernel.attend(q, k, v, reads, scale, cap, causal)

    def _with_prefix(self, k, v, places: Places) -> KeysValues:
        """Keys and values of slots become those that their owner trains.

        P-tuning v2 (Liu et al. 2022): 'peft' holds prefix_key and
        prefix_value, [G, C, P, K, h]; they are not turned by a position.
        """
        if not self.has_variable('peft', 'prefix_key'):
            return k, v
        owner = jnp.maximum(places.owner, 0)
        slot = jnp.maximum(places.slot, 0)
        is_slot = (places.slot >= 0)[:, :, None, None]  # [R, L, 1, 1]

        def with_rows(name, x):
            # [R, L, K, h]
            rows = take(self.get_variable('peft', name), owner, slot)
            return jnp.where(is_slot, rows.astype(x.dtype), x)

        return with_rows('prefix_key', k), with_rows('prefix_value', v)

    def _without_missing_prefix(self, mask, slot, past_slot):
        """Hides the slots that this layer has no prefix for.

        'peft' holds prefix_length, int32 [G, C] (equal for all), where
        layers differ in it.
        """
        if not self.has_variable('peft', 'prefix_length'):
            return mask
        if past_slot is not None:
            slot = jnp.concatenate([past_slot, slot], axis=1)
        length: jax.Array = self.get_variable('peft', 'prefix_length')[0, 0]
        return without(mask, slot >= length)

    def _split(
        self, x: jax.Array, owner: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries [R, L, H, h], keys and values [R, L, K, h]."""
        c = self.config
        if not c.fused:
            n = c.num_kv_heads
            return (
                project(c, 'query', x, owner, c.num_heads),
                project(c, 'key', x, owner, n),
                project(c, 'value', x, owner, n),
            )
        # One kernel makes all three: as [3, H, h] (`parts`), or as [H, 3, h].
        size = 3 * c.num_heads * c.head_dim
        qkv = Linear(size, c.attention_bias, name='qkv')(x, owner)
        axis = 2 if c.fused == 'parts' else 3
        shape = [c.num_heads, c.head_dim]
        shape.insert(axis - 2, 3)
        qkv = qkv.reshape(*x.shape[:2], *shape)
        q, k, v = jnp.moveaxis(qkv, axis, 0)
        return q, k, v


class CrossAttention(nn.Module):
    """Attention of a decoder's tokens over an encoder's output."""

    config: ModelConfig

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        owner: jax.Array,
        memory: Memory,
        known: KeysValues | None,
    ) -> tuple[jax.Array, KeysValues]:
        """Returns the output [R, L, D] and the memory's keys and values.

        owner is of the tokens x, int [R, L]; `known` are keys and values that
        an earlier call returned.
        """
        c = self.config
        q = project(c, 'query', x, owner, c.num_heads)
        # The encoder's output stays the same while text is written, so that
        # its keys and values are made once.
        if known is None:
            text = memory.hidden, memory.owner, c.num_kv_heads
            known = project(c, 'key', *text), project(c, 'value', *text)
        scale = c.query_scale or c.head_dim**-0.5
        out = attend(q, [known], memory.mask, scale)
        output = Linear(c.width, c.output_bias, name='output')
        return output(out, owner), known


def project(c: ModelConfig, name: str, x, owner, heads: int) -> jax.Array:
    """Heads [R, L, heads, h] of x, by the calling module's layer `name`."""
    size = heads * c.head_dim
    y = Linear(size, c.attention_bias, name=name)(x, owner)
    return y.reshape(*x.shape[:2], heads, c.head_dim)


def attend(
    q: jax.Array,
    read: Sequence[KeysValues],
    mask: jax.Array,
    scale: float,
    cap: float = 0.0,
    bias: jax.Array | None = None,
) -> jax.Array:
    """Softmax attention, in f32 from the scores to the probabilities.

    Args:
      q: [R, L, H, h].
      read: keys and values of S_i tokens each, [R, S_i, K, h]; S is the sum
        of the S_i. They are not joined: that would copy a cache.
      mask: bool [R, L, S]. A row without any True gives a uniform average.
      scale: of the scores.
      cap: scores become cap * tanh(score / cap); 0 for none.
      bias: [R, H, L, S], added to the scores; None for none.

    Returns:
      [R, L, H * h].
    """
    return recomputed(functools.partial(_attend, scale, cap))(
        q, list(read), mask, bias
    )


def _attend(scale: float, cap: float, q, read, mask, bias) -> jax.Array:
    rows, length, num_heads, head_dim = q.shape
    # Query heads in groups, each of which reads one key head: [R, L, K, G, h].
    kv_heads = read[0][0].shape[2]
    q = q.reshape(rows, length, kv_heads, num_heads // kv_heads, head_dim)
    f32 = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    scores = [f32('rlkgh,rskh->rkgls', q, k) for k, _ in read]
    # [R, K, G, L, S]: over all that is read, as if it were joined.
    score = soft_cap(jnp.concatenate(scores, axis=-1) * scale, cap)
    if bias is not None:
        score += bias.reshape(score.shape)
    # Not -inf: a row that reads nothing would become NaN.
    score = jnp.where(mask[:, None, None], score, -1e30)
    weight = jax.nn.softmax(score, axis=-1).astype(q.dtype)
    # Each part's share of the weights [R, K, G, L, S_i] meets its values.
    ends = np.cumsum([v.shape[1] for _, v in read])[:-1]
    weights = jnp.split(weight, ends, axis=-1)
    einsum = jnp.einsum if len(read) == 1 else f32  # sums are rounded once
    outs = [
        einsum('rkgls,rskh->rlkgh', share, v)
        for share, (_, v) in zip(weights, read, strict=True)
    ]
    out = functools.reduce(jnp.add, outs)
    return out.astype(q.dtype).reshape(rows, length, num_heads * head_dim)
