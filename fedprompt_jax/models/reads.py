"""Which tokens of a packed row each of its tokens reads: numbers, no mask.

A mask of all pairs of tokens is the square of a row's length. Numbers of the
tokens say the same, so that attention that keeps no scores needs no mask.

Two owners, a prompt of two tokens that stands once for the examples of each,
and two examples of the first (data/packing.py has the rule):

    >>> def row(*numbers):
    ...     return jnp.array([numbers])
    >>> reads = Reads.of(
    ...     owner=row(0, 0, 0, 0, 1, 1, -1),
    ...     segment=row(0, 0, 1, 2, 0, 0, 0),
    ...     query=row(0, 0, 1, 2, 0, 0, 0),
    ...     slot=row(0, 1, -1, -1, 0, 1, -1),
    ... )
    >>> print(reads.mask(causal=True)[0].astype(int))
    [[1 0 0 0 0 0 0]
     [1 1 0 0 0 0 0]
     [1 1 1 0 0 0 0]
     [1 1 0 1 0 0 0]
     [0 0 0 0 1 0 0]
     [0 0 0 0 1 1 0]
     [0 0 0 0 0 0 1]]
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

# The segment and the owner of a token that no token reads: equal to none.
HIDDEN = -2
UNLIMITED = 2**30  # a window of more positions than a row has


class Reader(NamedTuple):
    """Tokens that read, as integers.

    Attributes:
      segment: what is read in any case. Segments of two owners of a row
        differ.
      query: the other segment that is read, or the same again.
      owner: whose shared slots are read; negative for padding.
      column: place in the row.
      least: the lowest position that is read, or None for any.
    """

    segment: jax.Array
    query: jax.Array
    owner: jax.Array
    column: jax.Array
    least: jax.Array | None = None


class Read(NamedTuple):
    """Tokens that are read, as integers.

    Attributes:
      segment: as a Reader's, or HIDDEN.
      shared: the owner, on slots that stand once for all of its examples;
        HIDDEN elsewhere.
      column: place in the row.
      position: counted within an example; None where least is None.
    """

    segment: jax.Array
    shared: jax.Array
    column: jax.Array
    position: jax.Array | None = None


def may_read(q: Reader, k: Read, causal: bool) -> jax.Array:
    """bool: whether a token q reads a token k; the fields are broadcast.

    Args:
      q: tokens that read, such as [R, L, 1].
      k: tokens that are read, such as [R, 1, L].
      causal: whether a token reads no later one.
    """
    reads = (q.segment == k.segment) | (q.query == k.segment)
    reads |= q.owner == k.shared
    if q.least is not None and k.position is not None:
        reads &= k.position >= q.least
    return reads & (k.column <= q.column) if causal else reads


class Reads(NamedTuple):
    """The tokens of R packed rows in both parts, int32 [R, L] each.

    The tokens of an owner are neighbours in their row.
    """

    reader: Reader
    read: Read

    @classmethod
    def of(cls, owner, segment, query, slot) -> 'Reads':
        """Reads of a packed grid's fields, int [R, L] each.

        Args:
          owner: index into the bank, negative for padding.
          segment: from 1 to L; 0 on padding, and on slots that stand once for
            all examples of their owner.
          query: the segment that a token reads besides its own.
          slot: negative on all tokens but slots.
        """
        owner, segment, query = map(jnp.asarray, (owner, segment, query))
        length = owner.shape[1]
        column = jnp.broadcast_to(jnp.arange(length), owner.shape)
        # Each owner has L + 1 numbers for its segments.
        first = (owner + 1) * (length + 1)
        once = (jnp.asarray(slot) >= 0) & (segment == 0)
        return cls(
            Reader(first + segment, first + query, owner, column),
            Read(first + segment, jnp.where(once, owner, HIDDEN), column),
        )

    def within(self, position: jax.Array, window: int) -> 'Reads':
        """Nobody reads a token `window` or more positions back.

        Args:
          position: int [R, L], counted within an example.
          window: of a local layer, or UNLIMITED.
        """
        return Reads(
            self.reader._replace(least=position - window + 1),
            self.read._replace(position=position),
        )

    def without(self, hidden: jax.Array) -> 'Reads':
        """Nobody reads the tokens where `hidden`, bool [R, L], is true."""
        read = self.read
        return Reads(
            self.reader,
            read._replace(
                segment=jnp.where(hidden, HIDDEN, read.segment),
                shared=jnp.where(hidden, HIDDEN, read.shared),
            ),
        )

    def mask(self, causal: bool) -> jax.Array:
        """bool [R, L, L]: whether token q of row r reads token k of it."""
        q = jax.tree.map(lambda x: x[:, :, None], self.reader)
        k = jax.tree.map(lambda x: x[:, None, :], self.read)
        return may_read(q, k, causal)


def without(seen: jax.Array | Reads, hidden: jax.Array) -> Any:
    """A mask bool [..., L, S] or Reads in which nobody reads hidden tokens.

    Args:
      seen: the mask, or Reads.
      hidden: bool [R, S].
    """
    if isinstance(seen, Reads):
        return seen.without(hidden)
    return seen & ~hidden[:, None, :]
