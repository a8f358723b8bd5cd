"""Chooses the shapes of a run's grids from its data, by what they cost."""

from collections.abc import Sequence
import itertools
import math
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape

QUANTUM = 16  # row lengths and targets a row are multiples of it
LONG = 512  # longest row that is tried where no example asks for more
GAIN = 0.95  # a second row length must save this much: it is compiled too
CLOSE = 1.2  # two numbers of rows nearer than this become the larger one
ROOM = (1.2, 1.6, 2.0, 2.6)  # places for targets, of what rows hold on average
SHORT = (32, 48, 64, 96, 128, 192, 256, 384, 512)  # tried for short rows


class Cost(NamedTuple):
    """The cost of grids, in units of one token that passes the layers.

    Attributes:
      attention_scale: row length at which attention costs as much as all the
        rest of a layer.
      target: cost of one target's logits.
    """

    attention_scale: float
    target: float

    def row(self, shape: Shape) -> float:
        """Cost of one row: its tokens, attention between them, its logits."""
        attention = shape.length / self.attention_scale
        return shape.length * (1 + attention) + shape.targets * self.target

    def batch(self, shapes: Sequence[Shape], counts: Sequence[int]) -> float:
        """Cost of a batch that needs counts[i] rows of shapes[i]."""
        return sum(
            sum(shape.grids(count)) * self.row(shape)
            for shape, count in zip(shapes, counts, strict=True)
        )


class RowCounts(NamedTuple):
    """Limits on the numbers of rows of a grid.

    Attributes:
      shares: quantiles of the rows that a batch of the sample needs; and half
        the first one where that is more than 1, to fill what others leave.
      max_tokens: most tokens in one grid.
      multiple: rows are a multiple of it (the data axis of the mesh).
    """

    shares: Sequence[float]
    max_tokens: int
    multiple: int


def choose_shapes(
    batches: Sequence[Sequence[Example]],
    longest: tuple[int, int],
    packer: Packer,
    *,
    attention_scale: float,
    target_cost: float,
    max_tokens: int,
    row_multiple: int = 1,
    shares: Sequence[float] = (0.5, 1.0),
) -> Packer:
    """The packer whose grids would cost least on a sample of batches.

    A long row shares a prompt among more examples, a short one wastes less on
    attention, which is quadratic; where a few examples are much longer than
    the others, a second grid of long rows keeps them apart.

    Args:
      batches: a sample of what will be packed together.
      longest: most tokens, and most targets, of any example of the run.
      packer: one without shapes.
      attention_scale: see Cost.
      target_cost: see Cost.
      max_tokens: see RowCounts.
      row_multiple: see RowCounts.
      shares: see RowCounts.

    Most examples have 20 tokens and one of 60 has 300: two row lengths pay.

        >>> short = Example(0, np.zeros(19), np.zeros(2))
        >>> long = Example(0, np.zeros(297), np.zeros(4))
        >>> packer = choose_shapes(
        ...     [[short] * 60 + [long]] * 4,
        ...     longest=(300, 4),
        ...     packer=Packer(prompt_length=10, shapes=()),
        ...     attention_scale=500.0,
        ...     target_cost=0.2,
        ...     max_tokens=4096,
        ... )
        >>> for shape in packer.shapes:
        ...     print(shape)
        Shape(length=96, targets=16, rows=(8, 15))
        Shape(length=320, targets=16, rows=(1,))
    """
    cost = Cost(attention_scale, target_cost)
    counts = RowCounts(shares, max_tokens, row_multiple)
    examples = [e for batch in batches for e in batch]
    sizes = np.array([(e.num_tokens, e.num_target_tokens) for e in examples])

    def candidate(
        lengths: tuple[int, ...], room: float = ROOM[0]
    ) -> tuple[float, Packer]:
        """Cost of all batches, and the packer, with rows of these lengths."""
        shapes = _with_targets(
            lengths, room, sizes, packer.prompt_length, longest
        )
        made, needed = _with_rows(packer, shapes, batches, counts)
        return sum(cost.batch(made.shapes, n) for n in needed), made

    # 1. The row lengths, with little room for targets; two only if they save.
    costs = {
        lengths: candidate(lengths)[0]
        for lengths in tqdm(
            _row_lengths(sizes, packer.prompt_length + longest[0], packer),
            'choosing row shapes',
            leave=False,
            disable=None,
        )
    }
    best = min((n for n in costs if len(n) == 1), key=costs.__getitem__)
    pairs = (n for n in costs if len(n) == 2)
    pair = min(pairs, key=costs.__getitem__, default=best)
    if costs[pair] < GAIN * costs[best]:
        best = pair
    # 2. The room for targets.
    return min((candidate(best, room) for room in ROOM), key=lambda c: c[0])[1]


def widened(
    packer: Packer, examples: Sequence[Example], multiple: int = 1
) -> Packer:
    """The packer with room for these examples, nearly all of them targets.

    A row has as many places for targets as tokens. The last shape is as long as
    the longest example asks for, and its grids have fewer rows then, so that
    they have no more tokens than before.

        >>> packer = Packer(2, (Shape(length=32, targets=8, rows=(4, 9)),))
        >>> long = Example(0, np.zeros(1), np.zeros(50))
        >>> widened(packer, [long]).shapes
        (Shape(length=64, targets=64, rows=(2, 4)),)

    Args:
      packer: its shapes, short before long.
      examples: one at least.
      multiple: rows are a multiple of it (the data axis of the mesh).
    """
    tokens = packer.prompt_length + max(e.num_tokens for e in examples)
    targets = max(e.num_target_tokens for e in examples)
    *others, last = packer.shapes
    length = max(last.length, _up(tokens))
    fewer = {
        max(multiple, rows * last.length // length // multiple * multiple)
        for rows in last.rows
    }
    last = Shape(length, max(length, _up(targets)), tuple(sorted(fewer)))
    # Short rows that hold no target more than tokens.
    made = (s._replace(targets=max(s.length, s.targets)) for s in others)
    return packer._replace(shapes=(*made, last))


def _row_lengths(
    sizes: np.ndarray, longest: int, packer: Packer
) -> list[tuple[int, ...]]:
    """The row lengths to try: one, or a short and a long one.

    Args:
      sizes: int [n, 2], tokens and targets of the examples of the sample.
      longest: tokens of the longest example of the run with its prompt.
      packer: one without shapes.
    """
    need = _up(longest)
    longs = [m * need for m in (1, 2, 3, 4, 6, 8) if m * need <= LONG]
    longs = longs or [need]
    typical = packer.prompt_length + np.median(sizes[:, 0])
    alone: list[tuple[int, ...]] = [(n,) for n in longs]
    return alone + [
        (short, long)
        for short, long in itertools.product(SHORT, longs)
        if typical <= short < need <= long
    ]


def _with_rows(
    packer: Packer,
    shapes: tuple[Shape, ...],
    batches: Sequence[Sequence[Example]],
    counts: RowCounts,
) -> tuple[Packer, list[list[int]]]:
    """The packer with numbers of rows, and the rows that batches need."""
    made = packer._replace(shapes=shapes)
    needed = [_rows(made, batch) for batch in batches]  # [batches, shapes]
    shapes = tuple(
        shape._replace(
            rows=_row_sizes(
                [n[i] for n in needed],
                counts.shares,
                counts.max_tokens // shape.length,
                counts.multiple,
            )
        )
        for i, shape in enumerate(shapes)
    )
    return packer._replace(shapes=shapes), needed


def _rows(packer: Packer, examples: Sequence[Example]) -> list[int]:
    """The number of rows of each shape that a batch needs."""
    used = {shape: len(rows) for shape, rows in packer.rows(examples)}
    return [used.get(shape, 0) for shape in packer.shapes]


def _row_sizes(
    counts: Sequence[int], shares: Sequence[float], most: int, multiple: int
) -> tuple[int, ...]:
    """Numbers of rows to compile for, from the rows that batches need."""
    used = [n for n in counts if n] or [1]
    most = max(multiple, most // multiple * multiple)
    asked = {math.ceil(np.quantile(used, share)) for share in shares}
    if len(shares) > 1 and min(asked) > 3:
        asked.add(math.ceil(min(asked) / 2))
    sizes = sorted({min(_up(n, multiple), most) for n in asked})
    # One that the next hardly exceeds is not worth its compilation.
    pairs = zip(sizes, [*sizes[1:], math.inf], strict=True)
    return tuple(size for size, larger in pairs if larger > CLOSE * size)


def _up(n: float, quantum: int = QUANTUM) -> int:
    return int(-(-n // quantum) * quantum)


def _with_targets(
    lengths, room: float, sizes, prompt_length, longest
) -> tuple[Shape, ...]:
    """Row lengths, and room for the targets that rows of each would hold."""
    shapes, rest = [], sizes
    # Most targets a token: more than one where a query has many choices.
    most = max(1.0, longest[1] / longest[0], (sizes[:, 1] / sizes[:, 0]).max())
    for i, length in enumerate(lengths):
        last = i == len(lengths) - 1
        here = rest[:, 0] + prompt_length <= length
        mine = rest if last else rest[here]
        density = mine[:, 1].sum() / max(1, mine[:, 0].sum())
        one = longest[1] if last else np.quantile(mine[:, 1], 0.98)
        targets = _up(max(one, room * density * (length - prompt_length)))
        shapes.append(Shape(length, min(targets, _up(most * length)), (1,)))
        rest = rest[~here]
        rest = rest if len(rest) else sizes
    return tuple(shapes)
