"""What a compiled program computes, moves and sends, its loops multiplied out.

Bytes are those that each instruction reads from the main memory and writes to
it.
"""

from collections import defaultdict
import re
from typing import NamedTuple

from fedprompt_jax.planning.hlo import COLLECTIVES, Instruction, Program
from fedprompt_jax.planning.origins import origin
from fedprompt_jax.planning.products import operations
from fedprompt_jax.planning.traffic import FREE, moved, written

# Custom calls that are no kernels: XLA's own bookkeeping.
_BOOKKEEPING = re.compile(
    'Sharding|AllocateBuffer|Annotate|Pin|Assume|ConcatBitcast|SliceBitcast|'
    'GlobalDecreaseBarrier|xla.sdy|PrepareAsyncCall|AsyncCollective|'
    'GatherScatterIndices'
)


class Sent(NamedTuple):
    """Collectives of one kind in one call of a program, on one chip.

    Attributes:
      times: how often one runs.
      bytes: of all of them: what each makes, or reads where that is more.
    """

    times: float
    bytes: float


class Mover(NamedTuple):
    """Instructions of one operation of the model in one call of a program.

    Attributes:
      bytes: that they read from the main memory and write to it.
      times: how often one of them runs.
      what: see origins.origin.
    """

    bytes: float
    times: float
    what: str


class Counts(NamedTuple):
    """What one call of a program does on one chip.

    Attributes:
      flops: floating-point operations of products.
      bytes: read from the main memory and written to it.
      sent: kind of collective -> Sent.
      kernels: custom kernel -> how often it runs.
      copies: (bytes, what) of arrays that are copied or transposed in the main
        memory, the most bytes first; loops are multiplied out.
      movers: what moves the most bytes, likewise.
    """

    flops: float
    bytes: float
    sent: dict[str, Sent]
    kernels: dict[str, float]
    copies: tuple[tuple[float, str], ...]
    movers: tuple[Mover, ...]


def count(program: Program) -> Counts:
    """Counts of a compiled program."""
    runs = program.runs()
    inside = _fused(program)
    flops = 0.0
    times: dict[str, float] = defaultdict(float)
    sent: dict[str, float] = defaultdict(float)
    kernels: dict[str, float] = defaultdict(float)
    copies: dict[str, float] = defaultdict(float)
    moves: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
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
                if once := moved(program, name, x):
                    mover = moves[origin(program, name, x)]
                    mover[0] += often * once
                    mover[1] += often
                if x.opcode in ('copy', 'transpose') and written(x):
                    copies[_named(program, name, x)] += often * written(x)
    together = {kind: Sent(times[kind], sent[kind]) for kind in times}
    copied = sorted(((n, what) for what, n in copies.items()), reverse=True)
    movers = sorted(
        (Mover(size, often, what) for what, (size, often) in moves.items()),
        reverse=True,
    )
    return Counts(
        flops,
        sum(mover.bytes for mover in movers),
        together,
        dict(kernels),
        tuple(copied),
        tuple(movers),
    )


def largest(program: Program, most: int = 5) -> list[tuple[float, str]]:
    """(bytes, what it is) of the largest results of a program."""
    inside = _fused(program)
    found: dict[tuple[float, str], None] = {}
    for name in program.runs():
        for x in program.computations[name].values():
            given = x.opcode == 'parameter' and name == program.entry
            if name in inside or (x.opcode in FREE and not given):
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
