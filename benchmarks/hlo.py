"""What the text of a compiled program says."""

from collections import defaultdict
import re

COLLECTIVES = (
    'all-reduce', 'all-gather', 'all-to-all', 'collective-permute',
    'reduce-scatter',
)  # fmt: skip


def collectives(hlo: str) -> list[str]:
    """What it communicates: shapes and operation, each."""
    kinds = '|'.join(COLLECTIVES)
    return re.findall(rf'= (.*? (?:{kinds})(?:-start)?)\(', hlo)


def operation_names(hlo: str) -> dict[str, str]:
    """The names in the program of its operations: scopes and primitive.

    A fusion has the name of a matrix product in it, if there is one.
    """
    own: dict[str, str] = {}
    calls: dict[str, str] = {}
    inside: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    computation = ''
    for line in hlo.splitlines():
        if match := re.match(r'(?:ENTRY )?%?([\w.-]+) \(.*\{$', line):
            computation = match[1]
        if not (match := re.match(r'\s+(?:ROOT )?%?([\w.-]+) = ', line)):
            continue
        op = match[1]
        if called := re.search(r'calls=%?([\w.-]+)', line):
            calls[op] = called[1]
        if name := re.search(r'op_name="([^"]*)"', line):
            own[op] = name[1]
            inside[computation].append((' dot(' in line, name[1]))
    for op, called in calls.items():
        found = sorted(inside[called], key=lambda pair: -pair[0])
        if found and (found[0][0] or op not in own):
            own[op] = found[0][1]
    return own
