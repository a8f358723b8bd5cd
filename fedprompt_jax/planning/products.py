"""Floating-point operations of an instruction: of products alone.

They are matrix products and convolutions, as which a TPU computes products.
"""

import functools
import math
import re

from fedprompt_jax.planning.hlo import Instruction, Program


def operations(program: Program, computation: str, x: Instruction) -> float:
    """Floating-point operations of one instruction: two a multiply-add."""
    if x.opcode not in ('dot', 'convolution'):
        return _library_operations(program, computation, x)
    left, right = program.operands(computation, x)[:2]
    numbers = x.arrays[0].numbers
    if x.opcode == 'dot':
        axes = re.search(r'lhs_contracting_dims=\{([\d,]*)\}', x.text)
        named = [int(i) for i in axes[1].split(',') if i] if axes else []
        return 2.0 * numbers * math.prod(left.arrays[0].sizes[i] for i in named)
    return 2.0 * _multiply_adds(x, left, right)


def _library_operations(
    program: Program, computation: str, x: Instruction
) -> float:
    """Those of a product by a GPU's library, whose call says its dimensions."""
    if x.opcode != 'custom-call' or not re.search(r'"__cublas', x.text):
        return 0.0
    left = program.operands(computation, x)[0].arrays[0]
    axes = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', x.text)
    named = re.findall(r'\d+', axes[1]) if axes else []
    contracted = math.prod(left.sizes[int(i)] for i in named)
    return 2.0 * x.arrays[0].numbers * contracted


def _multiply_adds(x: Instruction, left: Instruction, right: Instruction):
    """Those of a convolution, but for places in padding or between numbers.

    A TPU writes products of a batch as a convolution that is dilated so that
    of each window one place alone is not zero.
    """
    labels = re.search(r'dim_labels=(\w+)_(\w+)->(\w+)', x.text)
    if labels is None:
        return 0.0
    of_left, of_right, of_result = labels.groups()
    sizes = {}  # spatial dimension -> size in input, kernel and output
    for i in filter(str.isdigit, of_result):
        sizes[i] = (
            left.arrays[0].sizes[of_left.index(i)],
            right.arrays[0].sizes[of_right.index(i)],
            x.arrays[0].sizes[of_result.index(i)],
        )
    window = _window(x.text, len(sizes))
    places = math.prod(
        _places(*sizes[str(i)], **{k: v[i] for k, v in window.items()})
        for i in range(len(sizes))
    )
    features = right.arrays[0].sizes[of_right.index('i')]
    made = math.prod(
        x.arrays[0].sizes[of_result.index(label)] for label in 'bf'
    )
    return places * features * made


def _window(text: str, dimensions: int) -> dict[str, list[int]]:
    """The window of a convolution: a number for each spatial dimension."""
    found = re.search(r'window=\{([^}]*)\}', text)
    fields = dict(part.split('=') for part in found[1].split()) if found else {}

    def numbers(name: str, default: str) -> list[int]:
        given = fields.get(name)
        values = given.split('x') if given else [default] * dimensions
        # Of a padding 'low_high', the low one decides which places are read.
        return [int(value.split('_')[0]) for value in values]

    return {
        'stride': numbers('stride', '1'),
        'low': numbers('pad', '0_0'),
        'spread': numbers('lhs_dilate', '1'),
        'apart': numbers('rhs_dilate', '1'),
        'reversed_': numbers('rhs_reversal', '0'),
    }


@functools.lru_cache(maxsize=1024)
def _places(
    size: int,
    kernel: int,
    outputs: int,
    stride: int,
    low: int,
    spread: int,
    apart: int,
    reversed_: int,
) -> int:
    """Pairs of an output and a kernel place that read a number of the input."""
    del reversed_  # the other order of the same pairs
    found = 0
    for k in range(kernel):
        for o in range(outputs):
            at = o * stride + k * apart - low
            found += at % spread == 0 and 0 <= at // spread < size
    return found
