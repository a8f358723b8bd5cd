"""The smaller parts of a block: norms and MLP; and where tokens stand."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_name
import jax.numpy as jnp

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.linear import Linear


class Places(NamedTuple):
    """The positions and owners of tokens; int [R, L] each.

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
        """The places of tokens of a bare model, which has no owners."""
        nothing = jnp.full_like(position, -1)
        return cls(position, nothing, nothing)


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    'silu': nn.silu,
    'relu': nn.relu,
    'gelu': lambda x: nn.gelu(x, approximate=False),
    'gelu_tanh': lambda x: nn.gelu(x, approximate=True),
}


# Names of what the backward pass of a layer keeps, see recomputed: an MLP's
# hidden numbers, and all else.
SAVED_OF_MLP = 'saved_of_mlp'
SAVED = 'saved'


def recomputed(function: Callable, name: str = SAVED) -> Callable:
    """The function, which keeps its arguments alone for the backward pass.

    What lies between two matrix products costs less to compute again than to
    write to memory and read back. `name` is that of the arguments.
    """
    call = jax.checkpoint(function, prevent_cse=False)
    return lambda *args: call(*checkpoint_name(args, name))


class RMSNorm(nn.Module):
    """x / rms(x) * (scale + plus), computed in f32."""

    epsilon: float
    plus: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param('scale', nn.initializers.ones, (x.shape[-1],))
        return recomputed(self._normalised)(x, scale)

    def _normalised(self, x, scale):
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
        return recomputed(self._normalised)(x, scale, bias)

    def _normalised(self, x, scale, bias):
        y = x.astype(jnp.float32)
        y -= jnp.mean(y, -1, keepdims=True)
        y *= jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon)
        y = y * scale.astype(jnp.float32) + bias.astype(jnp.float32)
        return y.astype(x.dtype)


def norm(config: ModelConfig, name: str) -> nn.Module:
    """The family's norm of hidden states."""
    if config.norm == 'layer':
        return LayerNorm(config.norm_eps, name=name)
    plus = {'rms': 0.0, 'rms_plus_one': 1.0}[config.norm]
    return RMSNorm(config.norm_eps, plus, name=name)


class MLP(nn.Module):
    """down(act(gate x) * up x), or down(act(up x)) where it is not gated."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x: jax.Array, owner: jax.Array) -> jax.Array:
        c = self.config
        activation = ACTIVATIONS[c.activation]

        def dense(name, x, width=c.mlp_width):
            return Linear(width, c.mlp_bias, name=name)(x, owner)

        if c.gated:
            gated = recomputed(
                lambda gate, up: activation(gate) * up, SAVED_OF_MLP
            )
            y = gated(dense('gate', x), dense('up', x))
        else:
            y = recomputed(activation, SAVED_OF_MLP)(dense('up', x))
        return dense('down', y, c.width)


def soft_cap(x: jax.Array, cap: float) -> jax.Array:
    """cap * tanh(x / cap), or x where cap is 0."""
    return cap * jnp.tanh(x / cap) if cap else x
