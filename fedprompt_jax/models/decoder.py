"""A causal decoder of the Llama family, its layers scanned.

Everything that differs between a packed row, a padded row, a prefill and one
step of decoding is in three arguments: positions, mask and past.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models import layers
from fedprompt_jax.models.config import DecoderConfig


class Block(nn.Module):
    """One layer: attention and MLP, each after a norm, each added back."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, x, past, rotary, mask):
        c = self.config
        y = layers.RMSNorm(c.norm_eps, name='attention_norm')(x)
        y, own = layers.Attention(c, name='attention')(y, rotary, mask, past)
        x = x + y
        y = layers.RMSNorm(c.norm_eps, name='mlp_norm')(x)
        return x + layers.GatedMLP(c, name='mlp')(y), own


class Decoder(nn.Module):
    """The frozen language model: `base` is its parameter tree.

    Attributes:
      config: sizes of the model.
      remat: recompute each layer in the backward pass instead of storing its
        activations (less memory, a third more work).
    """

    config: DecoderConfig
    remat: bool = False

    def setup(self):
        c = self.config
        block = nn.remat(Block, prevent_cse=False) if self.remat else Block
        stack = nn.scan(
            block,
            variable_axes={'params': 0},
            split_rngs={'params': True},
            in_axes=(0, nn.broadcast, nn.broadcast),
            length=c.num_layers,
        )
        self.embed = nn.Embed(c.vocab_size, c.width)
        self.layers = stack(c)
        self.final_norm = layers.RMSNorm(c.norm_eps)
        if not c.tied_embeddings:
            self.head = nn.Dense(c.vocab_size, use_bias=False)

    def embed_tokens(self, tokens: jax.Array) -> jax.Array:
        """Embeddings [..., D] of the tokens int [...]."""
        return self.embed(tokens)

    def hidden_states(
        self,
        x: jax.Array,
        positions: jax.Array,
        mask: jax.Array,
        past: layers.KeysValues | None = None,
    ) -> tuple[jax.Array, layers.KeysValues]:
        """Final hidden states of input embeddings.

        Args:
          x: [R, L, D] input embeddings.
          positions: int [R, L] positions for the rotary embedding.
          mask: bool [R, L, M + L]: which past and present tokens each reads.
          past: keys and values of M earlier tokens, [layers, R, M, K, h]
            each, or None for M = 0.

        Returns:
          Normalised hidden states [R, L, D] and the keys and values of the L
          tokens, [layers, R, L, K, h] each. (Unused, they cost nothing: XLA
          removes them.)
        """
        c = self.config
        rotary = layers.rotary_table(positions, c.head_dim, c.rope_theta)
        x, own = self.layers(x, past, rotary, mask)
        return self.final_norm(x), own

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Next-token logits f32 [..., V] of hidden states [..., D]."""
        if self.config.tied_embeddings:
            logits = self.embed.attend(hidden)
        else:
            logits = self.head(hidden)
        return logits.astype(jnp.float32)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits [R, L, V] of plain rows of tokens [R, L]."""
        rows, length = tokens.shape
        positions = jnp.broadcast_to(jnp.arange(length), (rows, length))
        mask = jnp.tril(jnp.ones((length, length), bool))
        mask = jnp.broadcast_to(mask, (rows, length, length))
        x = self.embed_tokens(tokens)
        hidden, _ = self.hidden_states(x, positions, mask)
        return self.logits(hidden)
