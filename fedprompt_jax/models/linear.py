"""A frozen linear layer, and what an owner's trained parameters add to it.

Trained parameters come in the Flax collection 'peft', beside 'params': where
a module finds variables of its own there, it uses them.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models import quantization
from fedprompt_jax.models.grouped import take


class Linear(nn.Module):
    """y = x W + b; with LoRA + (x a) b; with IA3 times a vector.

    Where W is of int8 its `scale` stands beside it, see quantization.py.

    Variables of the collection 'peft', for C owners of each of G groups of
    rows, see grouped.py:
      lora_a [G, C, in, r], lora_b [G, C, r, out]: the whole row must have one
        owner, whose product x a b is added (Hu et al. 2021; the scale
        alpha / r is in lora_b already).
      ia3_in [G, C, in], ia3_out [G, C, out]: every token's input or output is
        multiplied by its owner's vector (Liu et al. 2022).
    """

    features: int
    use_bias: bool

    @nn.compact
    def __call__(self, x: jax.Array, owner: jax.Array) -> jax.Array:
        """[R, L, out] of x [R, L, in]; owner is int [R, L], NOBODY < 0."""
        shape = (x.shape[-1], self.features)
        kernel = self.param('kernel', nn.initializers.zeros, shape)
        trained: dict[str, jax.Array] = {
            name: self.get_variable('peft', name).astype(x.dtype)
            for name in ('lora_a', 'lora_b', 'ia3_in', 'ia3_out')
            if self.has_variable('peft', name)
        }
        owner = jnp.maximum(owner, 0)  # what padding computes is discarded
        if 'ia3_in' in trained:
            x = x * take(trained['ia3_in'], owner)
        if self.has_variable('params', 'scale'):
            scale: jax.Array = self.get_variable('params', 'scale')
            y = quantization.product(x, kernel, scale)
        else:
            y = x @ kernel
        if self.use_bias:
            zeros = nn.initializers.zeros
            y = y + self.param('bias', zeros, (self.features,))
        if 'lora_a' in trained:
            # Padding, whose owner is less than any, follows its row's.
            row = owner.max(axis=1, initial=0)
            a, b = (take(trained[k], row) for k in ('lora_a', 'lora_b'))
            y = y + (x @ a) @ b
        if 'ia3_out' in trained:
            y = y * take(trained['ia3_out'], owner)
        if x.shape[1] == 1:
            # One token: what follows must not change how the kernel is read.
            # XLA would make heads of the kernel, a copy of it in every step.
            y = jax.lax.optimization_barrier(y)
        return y
