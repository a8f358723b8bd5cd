"""What the text of a compiled program says, and how often each part runs.

The grammar is that of XLA's HLO text (openxla.org/xla/hlo_dumps): computations
of instructions, the last computation marked ENTRY. XLA's own cost analysis
counts the body of a loop once; here it counts as often as it runs.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
import dataclasses
import functools
import math
import re
from typing import NamedTuple

COLLECTIVES = (
    'all-reduce', 'all-gather', 'all-to-all', 'collective-permute',
    'reduce-scatter',
)  # fmt: skip
_HEAD = re.compile(r'(?P<entry>ENTRY )?%?(?P<name>[\w.-]+) \(.*\{$')
_LINE = re.compile(r'\s+(?P<root>ROOT )?%?(?P<name>[\w.-]+) = (?P<rest>.*)$')
# An array: dtype[sizes]{layout}; a layout names a memory other than the main
# one as S(1), and may hold parentheses of its own.
_ARRAY = re.compile(
    r'(?P<dtype>\w+)\[(?P<sizes>[\d,<= ]*)\](?P<layout>\{[^}]*\})?'
)
_COPIES = ('copy', 'bitcast', 'convert', 'copy-start', 'copy-done')
_BITS = {'pred': 8, 'token': 0, 'opaque': 0, 'c64': 64, 'c128': 128}


class Array(NamedTuple):
    """One array of an instruction's result.

    Attributes:
      dtype: as HLO names it, such as 'bf16'.
      sizes: of its dimensions.
      on_chip: whether it is kept beside the arithmetic units (a TPU's VMEM or
        SMEM), so that it takes no bandwidth of the main memory.
    """

    dtype: str
    sizes: tuple[int, ...]
    on_chip: bool

    @property
    def numbers(self) -> int:
        return math.prod(self.sizes)

    @property
    def bytes(self) -> float:
        """Its bytes, without the padding of its layout."""
        if self.dtype in _BITS:
            return self.numbers * _BITS[self.dtype] / 8
        bits = re.search(r'\d+', self.dtype)  # f32, bf16, s8, f8e4m3fn, u4
        return self.numbers * int(bits[0] if bits else 0) / 8


class Instruction(NamedTuple):
    """One line of a computation.

    Attributes:
      name: unique in its computation.
      opcode: such as 'dot'.
      arrays: of its result; several where that is a tuple.
      operands: names of the instructions that it reads.
      text: what stands behind the operands: attributes.
      root: whether it is the computation's result.
    """

    name: str
    opcode: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    text: str
    root: bool

    @property
    def bytes(self) -> float:
        """Bytes of its result, in any memory."""
        return sum(x.bytes for x in self.arrays)

    @property
    def number(self) -> int:
        """Of a parameter, its place among those of its computation."""
        return int(self.text.partition(')')[0])

    @property
    def source(self) -> str:
        """The operation of the model that it computes, or its name."""
        name = re.search(r'op_name="([^"]*)"', self.text)
        return name[1].replace(r'\'', "'") if name else self.name

    def called(self, *attributes: str) -> list[str]:
        """Computations that it names in these attributes, such as 'body'."""
        found = []
        for name in attributes:
            pattern = rf'\b{name}=(?:\{{([^}}]*)\}}|%?([\w.-]+))'
            for several, one in re.findall(pattern, self.text):
                names = several.split(',') if several else [one]
                found += [x.strip().lstrip('%') for x in names]
        return found


Computation = Mapping[str, Instruction]  # by name, in their order


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
      computations: by name.
      entry: the name of the one that runs.
      text: it was read from.
    """

    computations: Mapping[str, Computation]
    entry: str
    text: str

    def operands(self, computation: str, x: Instruction) -> list[Instruction]:
        """The instructions that one of a computation reads."""
        inside = self.computations[computation]
        return [inside[name] for name in x.operands if name in inside]

    def root(self, computation: str) -> Instruction:
        """The instruction whose result is that of a computation."""
        inside = self.computations[computation].values()
        return next((x for x in inside if x.root), [*inside][-1])

    def runs(self) -> dict[str, float]:
        """Computation -> how often it runs in one call of the program.

        Computations inside of a fusion or a call run as often as that does. A
        branch of a conditional counts as taken. A loop whose end is not in the
        text counts once.
        """
        times: dict[str, float] = defaultdict(float)

        def visit(name: str, often: float) -> None:
            times[name] += often
            for x in self.computations[name].values():
                rounds = self.trips(name, x) if x.opcode == 'while' else 1
                inside = ['body', 'calls', 'branch_computations']
                inside += ['true_computation', 'false_computation']
                if x.opcode in ('call', 'async-start'):
                    inside.append('to_apply')
                for called in x.called(*inside):
                    visit(called, often * rounds)
                for called in x.called('condition'):
                    visit(called, often * (rounds + 1))

        visit(self.entry, 1.0)
        return dict(times)

    def trips(self, computation: str, loop: Instruction) -> float:
        """How often the body of a loop runs, at most; 1 if that is unknown.

        It is what XLA knows, or the difference between the number that the
        loop's counter is compared with and the number that it starts from.
        """
        known = re.search(r'known_trip_count[^0-9]*(\d+)', loop.text)
        if known:
            return float(known[1])
        # The counter is compared in the condition, or in a fusion there.
        inside = loop.called('condition')
        for x in self.computations[inside[0]].values():
            inside += x.called('calls')
        for name in inside:
            for x in self.computations[name].values():
                if x.opcode == 'compare' and 'direction=LT' in x.text:
                    counter, end = self.operands(name, x)
                    last = self._number(name, end)
                    if last is not None:
                        return last - (self._number(name, counter) or 0)
        return 1.0

    def _number(self, computation: str, x: Instruction) -> float | None:
        """The number that an instruction gives first; None if unknown."""
        if x.opcode in _COPIES:
            return self._number(computation, self.operands(computation, x)[0])
        if x.opcode == 'constant':
            found = re.match(r'(-?\d+)\)', x.text)
            return float(found[1]) if found else None
        if x.opcode == 'get-tuple-element':
            (given,) = self.operands(computation, x)
            index = int(re.findall(r'index=(\d+)', x.text)[0])
            return self._element(computation, given, index)
        if x.opcode == 'parameter' and computation in self._callers:
            outside, caller = self._callers[computation]
            argument = self.operands(outside, caller)[x.number]
            return self._number(outside, argument)
        return None

    def _element(
        self, computation: str, x: Instruction, index: int
    ) -> float | None:
        """Likewise, of an element of a tuple."""
        if x.opcode == 'tuple':
            element = self.operands(computation, x)[index]
            return self._number(computation, element)
        if x.opcode == 'parameter' and computation in self._callers:
            # Of a loop, its first state; of a call, its argument.
            outside, caller = self._callers[computation]
            argument = self.operands(outside, caller)[x.number]
            return self._element(outside, argument, index)
        return None

    @functools.cached_property
    def _callers(self) -> dict[str, tuple[str, Instruction]]:
        """Computation -> what runs it, and in which computation that is."""
        found: dict[str, tuple[str, Instruction]] = {}
        for name, instructions in self.computations.items():
            for x in instructions.values():
                for called in x.called('body', 'condition', 'calls'):
                    found.setdefault(called, (name, x))
                for called in (
                    x.called('to_apply') if x.opcode == 'call' else ()
                ):
                    found.setdefault(called, (name, x))
        return found


def parse(text: str) -> Program:
    """Reads the text of a compiled program (jax.stages.Compiled.as_text).

    Raises:
      ValueError: it has no entry computation.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    entry, inside = '', None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            inside = computations.setdefault(head['name'], {})
            entry = head['name'] if head['entry'] else entry
        # A kernel's own words may have lines, the last of which begins '}}'.
        elif line.startswith('}') and not line.startswith('}}'):
            inside = None
        elif inside is not None and (found := _LINE.match(line)):
            x = _instruction(found)
            inside[x.name] = x
    if not entry:
        raise ValueError('The text is not that of a compiled HLO program.')
    return Program(computations, entry, text)


def _instruction(found: re.Match) -> Instruction:
    """An instruction from `type opcode(operands), attributes`."""
    rest = found['rest']
    end = _closed(rest, 0) if rest.startswith('(') else rest.index(' ')
    kind, rest = rest[:end], rest[end:].lstrip()
    opcode, _, rest = rest.partition('(')
    end = _closed('(' + rest, 0) - 2
    given = rest[:end]
    # Of a constant, the text behind the parenthesis is its value.
    text = rest if opcode in ('constant', 'parameter') else rest[end + 1 :]
    names = re.findall(r'%([\w.-]+)', given) or re.findall(
        r'(?:^|, ?)(?:\S+ )?([a-zA-Z_][\w.-]*)(?=,|$)', given
    )
    return Instruction(
        found['name'],
        opcode,
        tuple(arrays(kind)),
        () if opcode in ('constant', 'parameter') else tuple(names),
        text,
        bool(found['root']),
    )


def _closed(text: str, at: int) -> int:
    """The place behind the parenthesis that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] == '(') - (text[i] == ')')
        if not depth:
            return i + 1
    return len(text)


@functools.lru_cache(maxsize=4096)
def arrays(kind: str) -> tuple[Array, ...]:
    """The arrays of a type, in their order.

    >>> [x.bytes for x in arrays('(s32[], bf16[8,4]{1,0:T(8,128)(2,1)S(1)})')]
    [4.0, 64.0]
    """
    return tuple(_arrays(kind))


def _arrays(kind: str) -> Iterator[Array]:
    for found in _ARRAY.finditer(kind):
        sizes = re.findall(r'\d+', found['sizes'])
        on_chip = re.search(r'S\([1-9]', found['layout'] or '')
        yield Array(found['dtype'], tuple(map(int, sizes)), bool(on_chip))


def collectives(hlo: str) -> list[str]:
    """The communication of a program: of each, its shapes and its kind."""
    kinds = '|'.join(COLLECTIVES)
    return re.findall(rf'= (.*? (?:{kinds})(?:-start)?)\(', hlo)


def operation_names(hlo: str) -> dict[str, str]:
    """Instruction -> its scopes and primitive in the model.

    A fusion has the name of a matrix product in it, if there is one.
    """
    own: dict[str, str] = {}
    calls: dict[str, str] = {}
    inside: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for computation, instructions in parse(hlo).computations.items():
        for x in instructions.values():
            for called in x.called('calls')[:1]:
                calls[x.name] = called
            if x.source != x.name:
                own[x.name] = x.source
                inside[computation].append((x.opcode == 'dot', x.source))
    for op, called in calls.items():
        found = sorted(inside[called], key=lambda pair: -pair[0])
        if found and (found[0][0] or op not in own):
            own[op] = found[0][1]
    return own
