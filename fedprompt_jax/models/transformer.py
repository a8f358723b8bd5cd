"""The frozen language model; the config says of which family.

A decoder, or an encoder with a head, or a decoder that reads an encoder's
output: a stack of blocks between the rows of a vocabulary and its logits.
"""

from collections.abc import Sequence
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from fedprompt_jax.models import layers
from fedprompt_jax.models.attention import KeysValues, Memory, Written
from fedprompt_jax.models.layers import ACTIVATIONS, Places
from fedprompt_jax.models.reads import Reads
from fedprompt_jax.models.stack import Late, Stack

# Logits are never rounded to bf16: that makes ties for greedy decoding.
_matmul = functools.partial(
    jax.lax.dot_general, preferred_element_type=jnp.float32
)


class Transformer(Stack):
    """The frozen language model: `base` is its parameter tree.

    Attributes: see Stack. An encoder, if there is one, is the subtree
    'encoder', beside the decoder's layers.
    """

    def setup(self):
        super().setup()
        c = self.config
        table_width = c.embedding_width or c.width
        self.embed = nn.Embed(c.vocab_size, table_width)
        if c.encoder is not None:
            self.encoder = Stack(
                c.encoder,
                self.remat,
                self.gather,
                self.kernel,
                self.remat_mlp,
            )
        if c.head_transform:
            self.head_dense = nn.Dense(table_width)
            self.head_norm = layers.norm(c, None)
        if not c.tied_embeddings:
            self.head = nn.Dense(
                c.vocab_size, use_bias=False, dot_general=_matmul
            )
        if c.head_bias:
            zeros = nn.initializers.zeros
            self.head_bias = self.param('head_bias', zeros, (c.vocab_size,))

    def embed_tokens(self, tokens: jax.Array) -> jax.Array:
        """Embeddings [..., E] of the tokens int [...]."""
        x = self.embed(tokens)
        return x * jnp.asarray(self.config.embedding_scale, x.dtype)

    def encode(
        self,
        x: jax.Array,
        places: Places,
        mask: jax.Array | Reads,
        late: Late | None = None,
    ) -> jax.Array:
        """The encoder's output [R, L, D] of input embeddings [R, L, D].

        places, mask and late as in hidden_states.
        """
        return self.encoder.hidden_states(x, places, mask, late=late)[0]

    def decode(
        self,
        x: jax.Array,
        places: Places,
        mask: jax.Array,
        memory: Memory,
        known: KeysValues | None = None,
        past: Sequence[KeysValues | Written] = (),
        past_places: Places | None = None,
    ) -> tuple[jax.Array, KeysValues, KeysValues | None]:
        """hidden_states of a decoder that reads an encoder's output.

        Args:
          x: see hidden_states, as are places, mask, past and past_places.
          memory: the encoder's output.
          known: its keys and values, [layers, R, S, K, h] each, from an
            earlier call.

        Returns:
          Hidden states, the tokens' keys and values, and the memory's.
        """
        return self.run(x, places, mask, past, past_places, memory, known)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """Token logits f32 [..., V] of hidden states [..., E]."""
        c = self.config
        if c.head_transform:
            y = ACTIVATIONS['gelu'](self.head_dense(hidden))
            hidden = self.head_norm(y)
        if c.head_scale != 1.0:
            hidden = hidden * jnp.asarray(c.head_scale, hidden.dtype)
        if c.tied_embeddings:
            contract = (((hidden.ndim - 1,), (1,)), ((), ()))
            logits = _matmul(hidden, self.embed.embedding, contract)
        else:
            logits = self.head(hidden)
        if c.head_bias:
            logits = logits + self.head_bias
        return layers.soft_cap(logits, c.logit_cap)

    def __call__(
        self, tokens: jax.Array, targets: jax.Array | None = None
    ) -> jax.Array:
        """Logits [R, L, V] of plain rows of tokens [R, L], nothing padded.

        Where there is an encoder it reads the tokens, and the logits [R, T,
        V] are those after each of the decoder's tokens `targets` [R, T].
        """
        x, places = self.embed_tokens(tokens), _plain(tokens)
        if self.config.encoder is None:
            mask = _full(tokens, tokens, self.config.causal)
            return self.logits(self.hidden_states(x, places, mask)[0])
        targets = tokens if targets is None else targets
        memory = Memory(
            self.encode(x, places, _full(tokens, tokens, False)),
            places.owner,
            _full(targets, tokens, False),
        )
        hidden, *_ = self.decode(
            self.embed_tokens(targets),
            _plain(targets),
            _full(targets, targets, True),
            memory,
        )
        return self.logits(hidden)


def _plain(tokens: jax.Array) -> Places:
    return Places.plain(
        jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    )


def _full(reading, read, causal: bool) -> jax.Array:
    """bool [R, L, S]: everything, or all that is not later."""
    mask = jnp.ones((reading.shape[1], read.shape[1]), bool)
    mask = jnp.tril(mask) if causal else mask
    return jnp.broadcast_to(mask, (len(reading), *mask.shape))
