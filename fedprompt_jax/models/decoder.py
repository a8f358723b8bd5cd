"""A causal decoder, its layers scanned; the config says of which family.

Everything that differs between a packed row, a padded row, a prefill and one
step of decoding is in its arguments: positions, mask and past.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models import layers, rotary
from fedprompt_jax.models.config import DecoderConfig
from fedprompt_jax.models.layers import Places

# Logits are never rounded to bf16: that makes ties for greedy decoding.
_matmul = functools.partial(
    jax.lax.dot_general, preferred_element_type=jnp.float32
)


class Context(NamedTuple):
    """What all layers read besides hidden states.

    Attributes:
      turn: rotary tables of global and local layers, or None.
      mask: bool [2, R, L, M + L] of global and local layers.
      places: of the L tokens.
      past_slot: int [R, M], slots of the past tokens, or None.
    """

    turn: rotary.Table | None
    mask: jax.Array
    places: Places
    past_slot: jax.Array | None

    def of(self, local) -> tuple[rotary.Table | None, jax.Array]:
        """Rotary table and mask of a layer; `local` is 0 or 1."""
        one = len(self.mask) == 1  # then `local` is known without looking
        both = (self.turn, self.mask)
        return jax.tree.map(lambda x: x[0 if one else local], both)


class Block(nn.Module):
    """One layer: attention and MLP, with norms where the layout has them."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, x, past, local, context: Context):
        c = self.config
        turn, mask = context.of(local)

        def attention(y):
            return layers.Attention(c, name='attention')(
                y, turn, mask, past, context.places, context.past_slot
            )

        def mlp(y):
            return layers.MLP(c, name='mlp')(y, context.places.owner)

        def norm(name, y):
            return layers.norm(c, name)(y)

        if c.layout == 'parallel':
            y, own = attention(norm('attention_norm', x))
            return x + y + mlp(norm('mlp_norm', x)), own
        if c.layout == 'post':
            y, own = attention(x)
            x = norm('attention_norm', x + y)
            return norm('mlp_norm', x + mlp(x)), own
        y, own = attention(norm('attention_norm', x))
        if c.layout == 'sandwich':
            x = x + norm('attention_out_norm', y)
            y = mlp(norm('mlp_norm', x))
            return x + norm('mlp_out_norm', y), own
        x = x + y
        return x + mlp(norm('mlp_norm', x)), own


class Decoder(nn.Module):
    """The frozen language model: `base` is its parameter tree.

    Attributes:
      config: sizes and parts of the model.
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
            variable_axes={'params': 0, 'peft': 0},
            split_rngs={'params': True},
            in_axes=(0, 0, nn.broadcast),
            length=c.num_layers,
        )
        table_width = c.embedding_width or c.width
        self.embed = nn.Embed(c.vocab_size, table_width)
        if c.position_rows:
            self.embed_positions = nn.Embed(c.position_rows, c.width)
        if c.embedding_width:
            self.project_in = nn.Dense(c.width, use_bias=False)
            self.project_out = nn.Dense(table_width, use_bias=False)
        self.layers = stack(c)
        if c.final_norm:
            self.final_norm = layers.norm(c, None)
        if not c.tied_embeddings:
            self.head = nn.Dense(
                c.vocab_size, use_bias=False, dot_general=_matmul
            )

    def embed_tokens(self, tokens: jax.Array) -> jax.Array:
        """Embeddings [..., E] of the tokens int [...]."""
        x = self.embed(tokens)
        return x * jnp.asarray(self.config.embedding_scale, x.dtype)

    def hidden_states(
        self,
        x: jax.Array,
        places: Places,
        mask: jax.Array,
        past: layers.KeysValues | None = None,
        past_places: Places | None = None,
    ) -> tuple[jax.Array, layers.KeysValues]:
        """Final hidden states of input embeddings.

        Args:
          x: [R, L, E] input embeddings; E is D but for a few families.
          places: of the L tokens.
          mask: bool [R, L, M + L]: which past and present tokens each reads.
          past: keys and values of M earlier tokens, [layers, R, M, K, h]
            each, or None for M = 0.
          past_places: of the past tokens, or None with past.

        Returns:
          Hidden states [R, L, E] and the keys and values of the L tokens,
          [layers, R, L, K, h] each. (Unused, they cost nothing: XLA removes
          them.)
        """
        c = self.config
        if c.embedding_width:
            x = self.project_in(x)
        if c.position_rows:
            x = x + self.embed_positions(places.position + c.position_offset)
        local = jnp.asarray(c.local_layers or [False] * c.num_layers, int)
        context = self._context(places, mask, past_places)
        x, own = self.layers(x, past, local, context)
        if c.final_norm:
            x = self.final_norm(x)
        return (self.project_out(x) if c.embedding_width else x), own

    def _context(self, places, mask, past_places) -> Context:
        """Masks and rotary tables of global layers and of local ones."""
        c = self.config
        positions = places.position
        masks, kinds = [mask], [c.rotary]
        if any(c.local_layers):
            keys = positions
            if past_places is not None:
                before = past_places.position
                keys = jnp.concatenate([before, positions], axis=1)
            back = positions[:, :, None] - keys[:, None, :]
            masks.append(mask & (back < c.window))
            kinds.append(c.local_rotary or c.rotary)
        turns = [rotary.table(positions, c.head_dim, r) for r in kinds if r]
        stacked = (
            jax.tree.map(lambda *t: jnp.stack(t), *turns) if turns else None
        )
        past_slot = None if past_places is None else past_places.slot
        return Context(stacked, jnp.stack(masks), places, past_slot)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Next-token logits f32 [..., V] of hidden states [..., E]."""
        if self.config.tied_embeddings:
            contract = (((hidden.ndim - 1,), (1,)), ((), ()))
            logits = _matmul(hidden, self.embed.embedding, contract)
        else:
            logits = self.head(hidden)
        return layers.soft_cap(logits, self.config.logit_cap)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Logits [R, L, V] of plain rows of tokens [R, L]."""
        rows, length = tokens.shape
        positions = jnp.broadcast_to(jnp.arange(length), (rows, length))
        mask = jnp.tril(jnp.ones((length, length), bool))
        mask = jnp.broadcast_to(mask, (rows, length, length))
        x = self.embed_tokens(tokens)
        hidden, _ = self.hidden_states(x, Places.plain(positions), mask)
        return self.logits(hidden)
