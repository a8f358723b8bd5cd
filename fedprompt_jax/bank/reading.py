"""A packed grid, read by a model under a bank: causal, masked or seq2seq."""

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import Bound
from fedprompt_jax.data.packing import Grid
from fedprompt_jax.models.attention import Memory
from fedprompt_jax.models.layers import Places


def target_states(bound: Bound, grid: Grid) -> jax.Array:
    """The hidden states [R, K, E] that a grid's targets are predicted from.

    Places without a target hold nonsense.
    """
    at = (grid.position, grid.owner, grid.slot)
    places, tokens = Places(*map(jnp.asarray, at)), jnp.asarray(grid.tokens)
    config = bound.transformer.config
    mask = attention_mask(grid, config.reader.causal)
    if config.encoder is not None:
        encoded = bound.encode(tokens, places, mask)
        return _decoded(bound, grid, encoded)
    hidden, _ = bound.hidden_states(tokens, places, mask)
    return jnp.take_along_axis(hidden, grid.target_index[..., None], axis=1)


def attention_mask(grid: Grid, causal: bool = True) -> jax.Array:
    """bool [R, L, L]: who reads whom (see data/packing.py)."""
    shared = ((grid.slot >= 0) & (grid.segment == 0))[:, None, :]
    near = _same(grid.owner) & (_same(grid.segment) | shared)
    return near & _not_later(grid.tokens.shape[1]) if causal else near


def _same(x) -> jax.Array:
    return x[:, :, None] == x[:, None, :]


def _not_later(length: int) -> jax.Array:
    return jnp.tril(jnp.ones((length, length), bool))


def _decoded(bound: Bound, grid: Grid, encoded: jax.Array) -> jax.Array:
    """The decoder's hidden states [R, K, D]: its tokens are the targets.

    The token in place k is the target before, so that target k is predicted
    from it; each reads the query and the prompt of its own example.
    """
    example, label = jnp.asarray(grid.target_example), grid.target_label
    before = jnp.pad(example, ((0, 0), (1, 0)), constant_values=-2)[:, :-1]
    first = example != before
    place = jnp.arange(example.shape[1])
    began = jax.lax.cummax(jnp.where(first, place, 0), axis=1)
    start = bound.transformer.config.start_token
    tokens = jnp.where(first, start, jnp.roll(label, 1, axis=1))
    nothing = jnp.full_like(example, -1)
    places = Places(place - began, jnp.asarray(grid.target_owner), nothing)
    mask = _not_later(example.shape[1]) & _same(example)
    segment = jnp.take_along_axis(grid.segment, grid.target_index, axis=1)
    mine = segment[:, :, None] == grid.segment[:, None, :]
    memory = Memory(encoded, jnp.asarray(grid.owner), mine)
    return bound.decode(tokens, places, mask, memory)[0]
