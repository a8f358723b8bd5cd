"""A packed grid, read by a model under a bank: causal, masked or seq2seq."""

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.binding import Bound
from fedprompt_jax.bank.queries import of_grid
from fedprompt_jax.data.packing import Grid
from fedprompt_jax.models.attention import Memory
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.reads import Reads


def target_states(bound: Bound, grid: Grid) -> jax.Array:
    """The hidden states [R, K, E] that a grid's targets are predicted from.

    Places without a target hold nonsense.

    Args:
      bound: the model under a bank of C owners.
      grid: R rows of L tokens, K places for targets a row.

    A model whose hidden states are its input embeddings shows which column
    each target is predicted from. Here token t has the embedding [t, t]:

        >>> import numpy as np
        >>> from fedprompt_jax.data.examples import Example
        >>> from fedprompt_jax.data.packing import Packer, Shape
        >>> example = Example(0, np.array([5, 6]), np.array([7, 8]))
        >>> packer = Packer(1, (Shape(length=5, targets=3, rows=(1,)),))
        >>> (grid,) = packer.pack([example], [1.0])
        >>> print(grid.tokens[0], grid.target_index[0])
        [0 5 6 7 0] [2 3 0]
        >>> hidden = jnp.asarray(grid.tokens)[..., None] * jnp.ones(2)
        >>> print(states_at(hidden, grid.target_index)[0, :2])
        [[6. 6.]
         [7. 7.]]
    """
    if bound.kind.reads_query:
        bound = bound.with_queries(of_grid(grid, bound.kind.slots))
    at = (grid.position, grid.owner, grid.slot)
    places, tokens = Places(*map(jnp.asarray, at)), jnp.asarray(grid.tokens)
    config = bound.transformer.config
    reads = reads_of(grid)
    if config.encoder is not None:
        encoded = bound.encode(tokens, places, reads)  # [R, L, D]
        return _decoded(bound, grid, encoded)
    hidden, _ = bound.hidden_states(tokens, places, reads)  # [R, L, E]
    return states_at(hidden, grid.target_index)  # [R, K, E]


def states_at(hidden: jax.Array, columns) -> jax.Array:
    """The states [R, K, E] in columns int [R, K] of hidden [R, L, E]."""
    return jnp.take_along_axis(hidden, columns[..., None], axis=1)


def reads_of(grid: Grid) -> Reads:
    """Which tokens of its row each token of a grid reads.

    See data/packing.py for the rule and an example.
    """
    return Reads.of(grid.owner, grid.segment, grid.reads, grid.slot)


def _same(x) -> jax.Array:
    """bool [R, L, L]: which tokens of a row have equal numbers [R, L]."""
    return x[:, :, None] == x[:, None, :]


def _not_later(length: int) -> jax.Array:
    """bool [L, L]: k <= q."""
    return jnp.tril(jnp.ones((length, length), bool))


def _decoded(bound: Bound, grid: Grid, encoded: jax.Array) -> jax.Array:
    """The decoder's hidden states [R, K, D]: its tokens are the targets.

    The token in place k is the one before in its target, so that token k is
    predicted from it; each reads the query and the prompt of its own example.
    """
    target, label = jnp.asarray(grid.target_number), grid.target_label
    # 1. Where a target begins, and each token's place in it: [R, K].
    before = jnp.pad(target, ((0, 0), (1, 0)), constant_values=-2)[:, :-1]
    first = target != before
    place = jnp.arange(target.shape[1])
    began = jax.lax.cummax(jnp.where(first, place, 0), axis=1)
    # 2. What the decoder reads: the start token, then the target: [R, K].
    start = bound.transformer.config.start_token
    tokens = jnp.where(first, start, jnp.roll(label, 1, axis=1))
    nothing = jnp.full_like(target, -1)
    places = Places(place - began, jnp.asarray(grid.target_owner), nothing)
    # 3. Which tokens it reads [R, K, K]: those of the same target, not of
    # another one of its query. And which of the encoder's states [R, K, L]:
    # those of its own example's segment.
    mask = _not_later(target.shape[1]) & _same(target)
    segment = jnp.take_along_axis(grid.segment, grid.target_index, axis=1)
    mine = segment[:, :, None] == grid.segment[:, None, :]
    memory = Memory(encoded, jnp.asarray(grid.owner), mine)
    return bound.decode(tokens, places, mask, memory)[0]
