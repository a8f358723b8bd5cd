"""Chooses the shapes of a run's grids from its data, by what they cost."""

from collections.abc import Sequence
import itertools
import math

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
      attention_scale: row length at which attention costs as much as all the
        rest of a layer.
      target_cost: cost of one target's logits, in units of one token.
      max_tokens: most tokens in one grid.
      row_multiple: rows of a grid are a multiple of it (the data axis of the
        device mesh).
      shares: the numbers of rows to compile for are these quantiles of the
        rows that a batch of the sample needs; and half the first one where
        that is more than 1, to fill what the others leave.
    """
    prompt_length = packer.prompt_length
    sizes = np.array(
        [(e.num_tokens, len(e.target)) for b in batches for e in b]
    )
    need = _up(prompt_length + longest[0])
    longs = [m * need for m in (1, 2, 3, 4, 6, 8) if m * need <= LONG]
    typical = prompt_length + np.median(sizes[:, 0])

    def candidate(lengths, room: float = ROOM[0]) -> tuple[float, Packer]:
        shapes = _with_targets(lengths, room, sizes, prompt_length, longest)
        made = packer._replace(shapes=shapes)
        counts = [_rows(made, b) for b in batches]
        shapes = tuple(
            shape._replace(
                rows=_row_sizes(
                    [c[i] for c in counts],
                    shares,
                    max_tokens // shape.length,
                    row_multiple,
                )
            )
            for i, shape in enumerate(shapes)
        )
        cost = sum(
            sum(shape.grids(c[i]))
            * (
                shape.length * (1 + shape.length / attention_scale)
                + shape.targets * target_cost
            )
            for c in counts
            for i, shape in enumerate(shapes)
        )
        return cost, packer._replace(shapes=shapes)

    pairs_of = [
        (short, long)
        for short, long in itertools.product(SHORT, longs or [need])
        if typical <= short < need <= long
    ]
    lengths = [(n,) for n in longs or [need]] + pairs_of
    found = {
        n: candidate(n)[0]
        for n in tqdm(lengths, 'choosing row shapes', leave=False, disable=None)
    }
    cost_of = found.__getitem__
    best = min((n for n in found if len(n) == 1), key=cost_of)
    pair = min((n for n in found if len(n) == 2), key=cost_of, default=best)
    if found[pair] < GAIN * found[best]:
        best = pair
    return min((candidate(best, room) for room in ROOM), key=lambda c: c[0])[1]


def _rows(packer: Packer, examples: Sequence[Example]) -> list[int]:
    """How many rows of each shape a batch needs."""
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
    for i, length in enumerate(lengths):
        last = i == len(lengths) - 1
        here = rest[:, 0] + prompt_length <= length
        mine = rest if last else rest[here]
        density = mine[:, 1].sum() / max(1, mine[:, 0].sum())
        one = longest[1] if last else np.quantile(mine[:, 1], 0.98)
        targets = _up(max(one, room * density * (length - prompt_length)))
        shapes.append(Shape(length, min(targets, _up(length)), (1,)))
        rest = rest[~here]
        rest = rest if len(rest) else sizes
    return tuple(shapes)
