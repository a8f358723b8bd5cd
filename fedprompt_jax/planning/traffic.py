"""Bytes that an instruction moves from and to a chip's main memory."""

from fedprompt_jax.planning.hlo import COLLECTIVES, Instruction, Program

# They move nothing: they name a part of a result, or run other computations.
FREE = (
    'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while',
    'conditional', 'call', 'after-all', 'partition-id', 'replica-id', 'iota',
    'opt-barrier', 'add-dependency', 'async-start', 'async-update',
    'async-done', 'copy-done', 'slice-done',
    *(f'{kind}-done' for kind in COLLECTIVES),
)  # fmt: skip
_SLICES = ('dynamic-slice', 'gather', 'slice')


def moved(program: Program, computation: str, x: Instruction) -> float:
    """Bytes that an instruction reads from the main memory and writes to it.

    Of an operand that is sliced, only the slices are read; a result that is an
    operand with a part of it replaced is written in that part alone.
    """
    if x.opcode in FREE:
        return 0.0
    operands = program.operands(computation, x)
    if x.opcode in _SLICES:
        return 2 * written(x)
    if x.opcode == 'dynamic-update-slice':
        return 2 * written(operands[1])
    if x.opcode in ('copy-start', 'slice-start'):
        # Its result names both ends, of which the smaller one is moved.
        moved = min((a for a in x.arrays if a.sizes), key=lambda a: a.bytes)
        ends = [a for a in x.arrays if a.sizes and not a.on_chip]
        return moved.bytes * len(ends[:2])
    if x.opcode == 'fusion':
        (called,) = x.called('calls')
        return _fusion(program, called, x, operands)
    return written(x) + sum(map(written, operands))


def _fusion(
    program: Program,
    called: str,
    x: Instruction,
    operands: list[Instruction],
) -> float:
    inside = program.computations[called]
    read = 0.0
    for y in inside.values():
        if y.opcode == 'parameter':
            if written(operands[y.number]):
                read += _read(program, called, y)
    return read + _made(program, called, x)


def _made(program: Program, called: str, x: Instruction) -> float:
    """Bytes that a fusion writes: of a result that is replaced, that part."""
    root, total = program.root(called), 0.0
    several = root.opcode == 'tuple'
    results = program.operands(called, root) if several else [root]
    if len(results) != len(x.arrays):  # such as a sort's
        return written(x)
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


def written(x: Instruction) -> float:
    """Bytes of a result in the main memory."""
    return sum(a.bytes for a in x.arrays if not a.on_chip)
