"""Chooses the row shapes of a run from its data, by what they would cost."""

from collections.abc import Sequence
import itertools

import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape

QUANTUM = 16  # row lengths and targets a row are multiples of it
LONG = 512  # longest row that is tried where no example asks for more
GAIN = 0.95  # a second shape must save this much: it has to be compiled too


def choose_shapes(
    batches: Sequence[Sequence[Example]],
    longest: tuple[int, int],
    prompt_length: int,
    *,
    attention_scale: float,
    target_cost: float,
    max_tokens: int,
    row_multiple: int = 1,
) -> Packer:
    """The packer whose grids would cost least on a sample of batches.

    A long row shares a prompt among more examples, a short one wastes less on
    attention, which is quadratic; where a few examples are much longer than
    the others, a second grid of long rows keeps them apart.

    Args:
      batches: a sample of what will be packed together.
      longest: most tokens, and most targets, of any example of the run.
      prompt_length: P.
      attention_scale: row length at which attention costs as much as all the
        rest of a layer.
      target_cost: cost of one target's logits, in units of one token.
      max_tokens: most tokens in one grid.
      row_multiple: rows of a grid are a multiple of it.
    """
    sizes = np.array(
        [(e.num_tokens, len(e.target)) for b in batches for e in b]
    )
    need = _up(prompt_length + longest[0])
    longs = [m * need for m in (1, 2, 3, 4, 6, 8) if m * need <= LONG]
    steps = (32, 48, 64, 96, 128, 192, 256, 384, 512)
    typical = prompt_length + np.median(sizes[:, 0])

    def packer(*lengths):
        shapes = _with_targets(lengths, sizes, prompt_length, longest)
        return Packer(prompt_length, shapes, max_tokens, row_multiple)

    def cost(packer):
        tokens = targets = 0.0
        for examples in batches:
            for grid in packer.pack(examples, [0.0] * len(examples)):
                length = grid.tokens.shape[1]
                tokens += grid.tokens.size * (1 + length / attention_scale)
                targets += grid.target_label.size
        return tokens + target_cost * targets

    single = min((packer(n) for n in longs or [need]), key=cost)
    pairs = [
        packer(short, long)
        for short, long in itertools.product(steps, longs or [need])
        if typical <= short < need <= long
    ]
    best = min(pairs, key=cost, default=single)
    return best if cost(best) < GAIN * cost(single) else single


def _up(n: float) -> int:
    return int(-(-n // QUANTUM) * QUANTUM)


def _with_targets(lengths, sizes, prompt_length, longest) -> tuple[Shape, ...]:
    """Row lengths with the targets that rows of each would hold."""
    shapes, rest = [], sizes
    for i, length in enumerate(lengths):
        last = i == len(lengths) - 1
        here = rest[:, 0] + prompt_length <= length
        mine = rest if last else rest[here]
        density = mine[:, 1].sum() / max(1, mine[:, 0].sum())
        one = longest[1] if last else np.quantile(mine[:, 1], 0.98)
        targets = _up(max(one, 1.2 * density * (length - prompt_length)))
        shapes.append(Shape(length, min(targets, _up(length))))
        rest = rest[~here]
        rest = rest if len(rest) else sizes
    return tuple(shapes)
