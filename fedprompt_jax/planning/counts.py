"""What a compiled program computes, moves and sends, its loops multiplied out.

Operations are those of matrix products and convolutions, as which a TPU
computes products; others are left out. Bytes are those that each instruction
reads from the main memory and writes to it.
"""

from collections import defaultdict
import functools
import math
import re
from typing import NamedTuple

from fedprompt_jax.planning.hlo import COLLECTIVES, Instruction, Program

# They move nothing: they name a part of a result, or run other computations.
_FREE = (
    'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while',
    'conditional', 'call', 'after-all', 'partition-id', 'replica-id', 'iota',
    'opt-barrier', 'add-dependency', 'async-start', 'async-update',
    'async-done', 'copy-done', 'slice-done',
    *(f'{kind}-done' for kind in COLLECTIVES),
)  # fmt: skip
_SLICES = ('dynamic-slice', 'gather', 'slice')
# Custom calls that are no kernels: XLA's own bookkeeping.
_BOOKKEEPING = re.compile(
    'Sharding|AllocateBuffer|Annotate|Pin|Assume|ConcatBitcast|SliceBitcast|'
    'GlobalDecreaseBarrier|xla.sdy|PrepareAsyncCall|GatherScatterIndices'
)


class Sent(NamedTuple):
    """Collectives of one kind in one call of a program, on one chip.

    Attributes:
      times: how often one runs.
      bytes: of all of them: what each makes, or reads where that is more.
    """

    times: float
    bytes: float


class Counts(NamedTuple):
    """What one call of a program does on one chip.

    Attributes:
      flops: floating-point operations of products.
      bytes: read from the main memory and written to it.
      sent: kind of collective -> Sent.
      kernels: custom kernel -> how often it runs.
      copies: (bytes, what) of arrays that are copied or transposed in the main
        memory, the most bytes first; loops are multiplied out.
    """

    flops: float
    bytes: float
    sent: dict[str, Sent]
    kernels: dict[str, float]
    copies: tuple[tuple[float, str], ...]


def count(program: Program) -> Counts:
    """Counts of a compiled program."""
    runs = program.runs()
    inside = _fused(program)
    flops = moved = 0.0
    times: dict[str, float] = defaultdict(float)
    sent: dict[str, float] = defaultdict(float)
    kernels: dict[str, float] = defaultdict(float)
    copies: dict[str, float] = defaultdict(float)
    for name, often in runs.items():
        for x in program.computations[name].values():
            flops += often * operations(program, name, x)
            if kind := _collective(x):
                times[kind] += often
                sent[kind] += often * _sent(program, name, x)
            if x.opcode == 'custom-call':
                target = re.search(r'custom_call_target="([^"]*)"', x.text)
                if target and not _BOOKKEEPING.search(target[1]):
                    kernels[target[1]] += often
            if name not in inside:
                moved += often * traffic(program, name, x)
                if x.opcode in ('copy', 'transpose') and _written(x):
                    copies[_named(program, name, x)] += often * _written(x)
    together = {kind: Sent(times[kind], sent[kind]) for kind in times}
    copied = sorted(((n, what) for what, n in copies.items()), reverse=True)
    return Counts(flops, moved, together, dict(kernels), tuple(copied))


def largest(program: Program, most: int = 5) -> list[tuple[float, str]]:
    """(bytes, what it is) of the largest results of a program."""
    inside = _fused(program)
    found: dict[tuple[float, str], None] = {}
    for name in program.runs():
        for x in program.computations[name].values():
            given = x.opcode == 'parameter' and name == program.entry
            if name in inside or (x.opcode in _FREE and not given):
                continue
            if x.arrays:
                size = max(array.bytes for array in x.arrays)
                found[size, _named(program, name, x)] = None
    return sorted(found, reverse=True)[:most]


def _named(program: Program, computation: str, x: Instruction) -> str:
    """Shape of the largest array of a result, and what it is a result of."""
    array = max(x.arrays, key=lambda a: a.bytes)
    sizes = ','.join(map(str, array.sizes))
    # A copy that XLA has added has no name but that of what it copies.
    while x.source == x.name and x.opcode in (
        'copy',
        'copy-done',
        'copy-start',
    ):
        (x, *_) = program.operands(computation, x) or [x]
        if x.opcode not in ('copy', 'copy-done', 'copy-start'):
            break
    return f'{array.dtype}[{sizes}] of {x.source}'


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


def traffic(program: Program, computation: str, x: Instruction) -> float:
    """Bytes that an instruction reads from the main memory and writes to it.

    Of an operand that is sliced, only the slices are read; a result that is an
    operand with a part of it replaced is written in that part alone.
    """
    if x.opcode in _FREE:
        return 0.0
    operands = program.operands(computation, x)
    if x.opcode in _SLICES:
        return 2 * _written(x)
    if x.opcode == 'dynamic-update-slice':
        return 2 * _written(operands[1])
    if x.opcode in ('copy-start', 'slice-start'):
        # Its result names both ends, of which the smaller one is moved.
        moved = min((a for a in x.arrays if a.sizes), key=lambda a: a.bytes)
        ends = [a for a in x.arrays if a.sizes and not a.on_chip]
        return moved.bytes * len(ends[:2])
    if x.opcode == 'fusion':
        (called,) = x.called('calls')
        return _fusion_traffic(program, called, x, operands)
    return _written(x) + sum(map(_written, operands))


def _fusion_traffic(
    program: Program,
    called: str,
    x: Instruction,
    operands: list[Instruction],
) -> float:
    inside = program.computations[called]
    read = 0.0
    for y in inside.values():
        if y.opcode == 'parameter':
            if _written(operands[y.number]):
                read += _read(program, called, y)
    return read + _made(program, called, x)


def _made(program: Program, called: str, x: Instruction) -> float:
    """Bytes that a fusion writes: of a result that is replaced, that part."""
    root, total = program.root(called), 0.0
    several = root.opcode == 'tuple'
    results = program.operands(called, root) if several else [root]
    if len(results) != len(x.arrays):  # such as a sort's
        return _written(x)
    for result, array in zip(results, x.arrays, strict=True):
        while result.opcode == 'bitcast':
            (result,) = program.operands(called, result)
        if result.opcode == 'dynamic-update-slice':
            total += program.operands(called, result)[1].bytes
        elif not array.on_chip:
            total += array.bytes
    return total


def _read(program: Program, computation: str, x: Instruction) -> float:
    """Bytes that a fusion reads of a parameter of it."""
    total, whole = 0.0, x.bytes
    for user in program.computations[computation].values():
        if x.name not in user.operands:
            continue
        if user.opcode in _SLICES and user.operands[0] == x.name:
            total += user.bytes
        elif user.opcode == 'dynamic-update-slice' and (
            user.operands[0] == x.name
        ):
            pass  # it is replaced in part, where it lies
        elif user.opcode == 'bitcast':
            total += _read(program, computation, user)
        elif user.opcode == 'fusion':  # a TPU's fusions have fusions in them
            (called,) = user.called('calls')
            for y in program.computations[called].values():
                if y.opcode == 'parameter':
                    if user.operands[y.number] == x.name:
                        total += _read(program, called, y)
        else:
            return whole
    return min(total, whole)


def _written(x: Instruction) -> float:
    """Bytes of a result in the main memory."""
    return sum(a.bytes for a in x.arrays if not a.on_chip)


def _collective(x: Instruction) -> str:
    """The kind of a collective; '' for another instruction, or for its end."""
    kind = x.opcode.removesuffix('-start')
    return kind if kind in COLLECTIVES else ''


def _sent(program: Program, computation: str, x: Instruction) -> float:
    read = sum(y.bytes for y in program.operands(computation, x))
    made = x.bytes
    if x.opcode in ('all-gather-start', 'collective-permute-start'):
        made -= read  # its result names the operands too
    return max(read, made)


def _fused(program: Program) -> set[str]:
    """Computations inside of a fusion: they move nothing by themselves."""
    found: set[str] = set()
    for instructions in program.computations.values():
        for x in instructions.values():
            if x.opcode == 'fusion':
                found |= set(x.called('calls'))
    return found
