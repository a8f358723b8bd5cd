"""A bottleneck adapter of an owner, behind a part of a block.

Houlsby et al. (2019), section 2.1: y + act(y down + b) up + b'.
"""

import flax.linen as nn
import jax

from fedprompt_jax.models.grouped import take
from fedprompt_jax.models.layers import ACTIVATIONS, recomputed


class Adapter(nn.Module):
    """y + act(y down + down_bias) up + up_bias; y where nothing is trained.

    Variables of the collection 'peft', for C owners of each of G groups of
    rows (see grouped.py), in a dict that the activation names, {'gelu': {...}}:
      down [G, C, D, m], down_bias [G, C, m], up [G, C, m, D], up_bias
        [G, C, D]: the whole row must have one owner, whose adapter it passes.
    """

    @nn.compact
    def __call__(self, y: jax.Array, owner: jax.Array) -> jax.Array:
        """[R, L, D] of y [R, L, D]; owner is int [R, L], NOBODY < 0."""
        trained = [n for n in ACTIVATIONS if self.has_variable('peft', n)]
        if not trained:
            return y
        (name,) = trained
        # Padding, whose owner is less than any, follows its row's.
        row = owner.max(axis=1, initial=0)
        every: dict[str, jax.Array] = self.get_variable('peft', name)
        w = jax.tree.map(lambda x: take(x.astype(y.dtype), row), every)
        hidden = y @ w['down'] + w['down_bias'][:, None]  # [R, L, m]
        hidden = recomputed(ACTIVATIONS[name])(hidden)
        return y + (hidden @ w['up'] + w['up_bias'][:, None])
