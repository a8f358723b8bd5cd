"""How a kernel's arrays are cut into blocks.

R rows, L tokens of a row, H query heads, K key heads, G = H / K query heads a
key head, h head dimension. Each program of a kernel works for one row, one head
and one block of tokens: these are the three axes of a kernel's grid.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

from jax.experimental import pallas as pl

# The head that is read, from the head that a program works for.
Head = Callable[[Any], Any]


@dataclasses.dataclass(frozen=True)
class Tiles:
    """The blocks of rows of L tokens.

    Attributes:
      size: tokens of a block; it divides L.
      heads_first: whether queries, keys and values are [R, H, L, h], as a TPU
        wants them, whose blocks are of the last two axes; else [R, L, H, h].
      params: the compiler's, or None.
      interpret: JAX computes in the kernel's place, on any machine.
    """

    size: int
    heads_first: bool
    params: Any = None
    interpret: bool = False

    @property
    def axis(self) -> int:
        """The axis of heads."""
        return 1 if self.heads_first else 2

    def table(self, shape) -> pl.BlockSpec:
        """All numbers of a program's row, [7 or 9, L] of table.make."""
        return pl.BlockSpec((None, *shape[1:]), lambda r, h, i: (r, 0, 0))

    def block(self, width: int) -> pl.BlockSpec:
        """A program's block of its head: [size, h]."""
        return self._heads(None, self.size, width, lambda h, i: (h, i))

    def head(self, length: int, width: int, head: Head) -> pl.BlockSpec:
        """All tokens of a head: [L, h]."""
        return self._heads(None, length, width, lambda h, i: (head(h), 0))

    def group(self, heads: int, length: int, width: int) -> pl.BlockSpec:
        """All tokens of the `heads` query heads that read a key head.

        [G, L, h], or [L, G, h] where tokens stand before heads.
        """
        return self._heads(heads, length, width, lambda h, i: (h, 0))

    def of_group(self, x, head, tokens) -> Any:
        """A slice of the tokens of a `group`'s head, from its reference."""
        return x[head, tokens, :] if self.heads_first else x[tokens, head, :]

    def row(self) -> pl.BlockSpec:
        """A program's block of numbers [R, H, 1, L]: [1, size]."""
        return pl.BlockSpec(
            (None, None, 1, self.size), lambda r, h, i: (r, h, 0, i)
        )

    def group_row(self, heads: int, length: int) -> pl.BlockSpec:
        """The numbers [R, H, 1, L] of a `group`: [G, 1, L]."""
        return pl.BlockSpec(
            (None, heads, 1, length), lambda r, h, i: (r, h, 0, 0)
        )

    def _heads(self, heads, tokens, width, index) -> pl.BlockSpec:
        if self.heads_first:
            return pl.BlockSpec(
                (None, heads, tokens, width),
                lambda r, h, i: (r, *index(h, i), 0),
            )
        return pl.BlockSpec(
            (None, tokens, heads, width),
            lambda r, h, i: (r, *reversed(index(h, i)), 0),
        )

    def sizes(self, x) -> tuple[int, int, int, int]:
        """(R, L, heads, h) of queries, keys or values."""
        rows, a, b, width = x.shape
        return (rows, b, a, width) if self.heads_first else (rows, a, b, width)

    def call(self, kernel, grid, in_specs, out_specs, out_shape, *arrays):
        """pl.pallas_call of the kernel on the arrays."""
        return pl.pallas_call(
            kernel,
            grid=grid,
            in_specs=in_specs,
            out_specs=out_specs,
            out_shape=out_shape,
            compiler_params=self.params,
            interpret=self.interpret,
            name=kernel.func.__name__,
        )(*arrays)
