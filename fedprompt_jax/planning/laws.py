"""What must hold of every compiled program of a run, read from its text.

A program that breaks one of these laws is slow, or computes on the host; its
results would be right all the same, so that no other test would notice.
"""

from collections.abc import Collection, Iterator, Sequence
import re
from typing import Any

import jax

from fedprompt_jax.planning import hlo
from fedprompt_jax.planning.traffic import written

_HOST = re.compile(
    r'custom_call_target="[^"]*(callback|MoveToHost|MoveToDevice)[^"]*"'
    r'|is_host_transfer=true| (infeed|outfeed)\('
    # StableHLO writes a call by its name.
    r'|custom_call @\w*(callback|MoveToHost|MoveToDevice)\w*'
    r'|stablehlo\.(infeed|outfeed)'
)
_F64 = re.compile(r'\b(f64\[|tensor<(\d+x)*f64>)')
# An argument that may be given to a result, in StableHLO.
_GIVEN = re.compile(r'tf\.aliasing_output|jax\.buffer_donor')


def lowered(program: Any) -> Iterator[str]:
    """Sentences about a program in StableHLO; none if all laws hold.

    Args:
      program: jax.stages.Lowered.
    """
    text = program.as_text()
    yield from _common(text)
    donated, given = _donated(program), len(_GIVEN.findall(text))
    if given < donated:
        yield f'{given} of {donated} donated arrays may become a result.'


def compiled(
    program: Any,
    text: str,
    data: int = 1,
    fsdp: bool = False,
    summed: int = 0,
    read_by_steps: Collection[int] = (),
) -> Iterator[str]:
    """Sentences about a compiled program; none if all laws hold.

    Args:
      program: jax.stages.Lowered, from which it was compiled.
      text: jax.stages.Compiled.as_text.
      data: chips among which rows are divided.
      fsdp: whether the base is cut over them.
      summed: numbers of the losses and gradients that the chips sum, if the
        program is a gradient and no other axis of the mesh has several chips;
        else 0.
      read_by_steps: numbers of each array that every step of decoding reads
        where it lies: of weights and caches; none if nothing is decoded.
    """
    yield from _common(text)
    aliased = len(re.findall('(?:may|must)-alias', text.partition('\n')[0]))
    donated = _donated(program)
    if aliased < donated:
        yield f'{aliased} of {donated} donated arrays alias a result.'
    read = hlo.parse(text)
    sent = [
        x
        for computation in read.runs()
        for x in read.computations[computation].values()
        if _kind(x) in hlo.COLLECTIVES
    ]
    gathers = [x for x in sent if _kind(x) == 'all-gather']
    if gathers and summed and not fsdp:
        largest = max(gathers, key=lambda x: x.bytes)
        yield f'It gathers {len(gathers)} arrays, such as {largest.source}.'
    if summed and data > 1 and not fsdp:
        yield from _one_sum(sent, summed)
    if read_by_steps:
        yield from _decoding(read, set(read_by_steps))


def _common(text: str) -> Iterator[str]:
    if _F64.search(text):
        yield 'It computes in f64.'
    if found := _HOST.search(text):
        yield f'It exchanges arrays with the host: {found[0].strip()}.'


def _one_sum(sent: Sequence[hlo.Instruction], summed: int) -> Iterator[str]:
    """That all communication is one sum of so many numbers."""
    if (kinds := [_kind(x) for x in sent]) != ['all-reduce']:
        yield f'It communicates by {kinds}; one all-reduce is enough.'
        return
    numbers = sum(array.numbers for array in sent[0].arrays)
    if numbers > summed:
        yield f'It sums {numbers} numbers over the chips; {summed} are enough.'


# JAX's name of an operation in the loop of decoding, in no other loop.
_STEP = re.compile(r'jit\(greedy\)/while/body/')


def _decoding(read: hlo.Program, sizes: set[int]) -> Iterator[str]:
    """That no step moves an array of these sizes to another place."""
    for computation in _steps(read):
        for x in read.computations[computation].values():
            does = 'gather' if _kind(x) == 'all-gather' else _moves(read, x)
            if does and written(x) and x.arrays[0].numbers in sizes:
                yield (
                    f'Each step of decoding does a {does} of '
                    f'{x.arrays[0].numbers} numbers: {x.source}.'
                )


def _steps(read: hlo.Program) -> list[str]:
    """Computations that run in the loop of decoding, outside of fusions."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        found[name] = None
        for x in read.computations[name].values():
            for called in x.called('body', 'to_apply', 'branch_computations'):
                if x.opcode in ('while', 'call', 'conditional'):
                    visit(called)

    for instructions in read.computations.values():
        for x in instructions.values():
            if x.opcode == 'while':
                (body,) = x.called('body')
                inside = read.computations[body].values()
                if any(_STEP.match(y.source) for y in inside):
                    visit(body)
    return [*found]


# What a fusion that only moves numbers may hold besides. (A slice alone is how
# XLA hands a layer's weights to a product on CPUs and GPUs.)
_BESIDES = {
    'parameter', 'constant', 'bitcast', 'reshape', 'tuple', 'slice',
    'dynamic-slice',
}  # fmt: skip


def _moves(read: hlo.Program, x: hlo.Instruction) -> str:
    """'copy' or 'transpose' of an instruction that computes nothing, or ''."""
    done = {x.opcode}
    if x.opcode == 'fusion':
        (called,) = x.called('calls')
        inside = read.computations[called].values()
        # Scalars say where a slice begins.
        done = {y.opcode for y in inside if any(a.sizes for a in y.arrays)}
        done -= _BESIDES
    moves = [kind for kind in ('transpose', 'copy') if kind in done]
    return moves[0] if moves and done <= {'transpose', 'copy'} else ''


def _kind(x: hlo.Instruction) -> str:
    return x.opcode.removesuffix('-start')


def _donated(program: Any) -> int:
    """The number of arrays whose memory the caller gives away."""
    return sum(x.donated for x in jax.tree.leaves(program.args_info))
