"""What every layer of the bare model makes of a batch."""

from collections.abc import Sequence
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.stack import STATES
from fedprompt_jax.models.transformer import Transformer


def layer_states(
    transformer: Transformer,
    base: Any,
    examples: Sequence[Example],
    length: int,
) -> jax.Array:
    """Hidden states [layers, n, length, D] behind each layer.

    Nothing trained takes part. An encoder's layers are read where there is one.
    Padding stands behind the text, reads it, and is read by nothing: its states
    are among those returned.

    Args:
      transformer: the model.
      base: its parameters.
      examples: n rows of tokens.
      length: of every row, at least that of the longest example.
    """
    tokens = np.zeros((len(examples), length), np.int32)
    for row, e in zip(tokens, examples, strict=True):
        row[: e.num_tokens] = e.tokens
    lengths = np.array([e.num_tokens for e in examples], np.int32)
    return _layer_states(transformer, base, tokens, lengths)


@functools.partial(jax.jit, static_argnames='transformer')
def _layer_states(
    transformer: Transformer, base: Any, tokens: jax.Array, lengths: jax.Array
) -> jax.Array:
    reader = transformer.config.reader
    position = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    real = (position < lengths[:, None])[:, None, :]  # [n, 1, S]
    mask = jnp.broadcast_to(real, (*tokens.shape, tokens.shape[1]))
    if reader.causal:
        mask = jnp.tril(mask)
    if transformer.gather is not None:
        base = transformer.gather.tables(base)
    x = transformer.apply({'params': base}, tokens, method='embed_tokens')
    encoder = transformer.config.encoder is not None
    _, made = transformer.apply(
        {'params': base},
        x,
        Places.plain(position),
        mask,
        method='encode' if encoder else 'hidden_states',
        mutable=[STATES],
    )
    (states,) = jax.tree.leaves(made)
    return states.astype(jnp.float32)
