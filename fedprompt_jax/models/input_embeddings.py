"""What a model reads for a token, before its first layer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.models.transformer import Transformer


class InputEmbeddings:
    """Looks like an array [V, E]: a row is what the model reads for a token.

    That is not the embedding table where a family scales it, as Gemma does.
    Rows are computed when they are asked for, from a table that may lie in
    parts on several devices; all of its processes have to ask.

    Attributes:
      shape: (V, E).
    """

    def __init__(self, transformer: Transformer, base: dict[str, Any]) -> None:
        self._transformer, self._base = transformer, base
        self.shape = base['embed']['embedding'].shape

    def __getitem__(self, tokens: np.ndarray) -> jax.Array:
        """f32 [..., E] of token ids int [...]; IndexError beyond the table."""
        if np.max(tokens, initial=0) >= self.shape[0]:
            raise IndexError(f'{np.max(tokens)} of {self.shape[0]} tokens')
        rows: Any = self._transformer.apply(
            {'params': self._base}, jnp.asarray(tokens), method='embed_tokens'
        )
        return rows.astype(jnp.float32)
