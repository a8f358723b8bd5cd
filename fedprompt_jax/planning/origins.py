"""Which operation of the model an instruction of a compiled program computes.

XLA keeps JAX's name of each operation, a path of transformations, modules and
the primitive:

    jit(f)/transpose(jvp(jit(g)))/Transformer.run/while/body/layers/mlp/up/dot

Here it is `backward: layers/mlp/up/dot`. What a transformation with remat
computes once more is `again: ...`.
"""

import re

from fedprompt_jax.planning.hlo import Instruction, Program

# Parts of a name that say how JAX has transformed the model, or how a program
# runs it, and not what it computes.
_FRAME = re.compile(
    r'(jit|jvp|vmap|transpose|shard_map|custom_vjp|custom_jvp|remat)\(.*\)'
    r'|checkpoint|rematted_computation|closed_call|while|body|cond|scan'
    r'|\w+\.(run|hidden_states|encode|decode|logits|embed_tokens|_\w+)'
)
# XLA's own, such as copies, are named after their operand.
_COPIES = ('copy', 'copy-start', 'copy-done', 'bitcast')


def origin(program: Program, computation: str, x: Instruction) -> str:
    """The operation in words; XLA's own name where it keeps none of JAX's.

    A fusion computes several operations: the name is that of a product in it,
    or its own, or that of the first which has one.

    Args:
      program: a compiled one.
      computation: in which the instruction stands.
      x: the instruction.
    """
    named = x
    if x.opcode == 'fusion':
        named = _chief(program, x)
    elif x.opcode in _COPIES and x.source == x.name:
        named = next(iter(program.operands(computation, x)), x)
    if named.source == named.name:
        return re.sub(r'[.\d]+$', '', named.name)
    return short(named.source)


def _chief(program: Program, x: Instruction) -> Instruction:
    """The instruction that a fusion is named after."""
    found = [x]
    for name in x.called('calls'):
        for y in program.computations[name].values():
            found.append(_chief(program, y) if y.opcode == 'fusion' else y)
    named = [y for y in found if y.source != y.name] or [x]
    products = [y for y in named if y.opcode in ('dot', 'convolution')]
    return (products or named)[0]


def short(name: str) -> str:
    """JAX's name of an operation without what is no part of the model.

    >>> short('jit(f)/transpose(jvp(jit(g)))/while/body/layers/mlp/up/dot')
    'backward: layers/mlp/up/dot'
    """
    parts = [part for part in _parts(name) if not _FRAME.fullmatch(part)]
    if not parts:  # such as the start of a loop
        return name
    # A backward pass inside of a module names it twice.
    path = re.sub(r'^(.+)/\1(?=/|$)', r'\1', '/'.join(parts))
    if 'rematted_computation' in name:
        return f'again: {path}'
    return f'backward: {path}' if 'transpose(' in name else path


def _parts(name: str) -> list[str]:
    """A name at its slashes, but for those in parentheses."""
    parts, depth = [''], 0
    for letter in name:
        depth += (letter == '(') - (letter == ')')
        if letter == '/' and not depth:
            parts.append('')
        else:
            parts[-1] += letter
    return parts
