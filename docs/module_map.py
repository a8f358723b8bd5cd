"""Writes docs/modules.md: rooms and modules, from their import statements.

    python docs/module_map.py

A room is a folder of the package. Everything on the page comes from the source
files: nothing in this script names a room or a module.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
import functools
from pathlib import Path
import textwrap

ROOT = Path(__file__).parents[1]
PACKAGE = 'fedprompt_jax'
PAGE = ROOT / 'docs' / 'modules.md'
COMMAND = 'python docs/module_map.py'

Graph = Mapping[str, set[str]]  # name -> the names that it imports

_HEAD = f"""# Modules

This page says what each module is for, and what imports what. Do not edit it:
`{COMMAND}` writes it from docstrings and import statements.

A room is a folder of `{PACKAGE}`. An arrow points from a room to one that
it imports. Arrows are left out where a longer path leads to the same room.
Rounded boxes are single modules outside all rooms.
"""


def _name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {_name_of(p): p for p in sorted((ROOT / PACKAGE).rglob('*.py'))}


def imports(module: str, top_level: bool = False) -> Iterator[str]:
    """Names of the modules that a module imports.

    Args:
      module: a key of MODULES.
      top_level: only what is imported when the module is, and by a type
        checker; else also the imports inside functions.
    """
    for node in _statements(_tree(module), top_level):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{module} has a relative import'
            for alias in node.names:
                whole = f'{node.module}.{alias.name}'
                yield whole if whole in MODULES else str(node.module)


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text('utf-8'))


def _statements(tree: ast.AST, top_level: bool) -> Iterator[ast.AST]:
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        lazy = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        if not (top_level and isinstance(node, lazy)):
            todo.extend(ast.iter_child_nodes(node))


def room_of(module: str) -> str:
    """The room of a module, or its own name outside all rooms.

    >>> room_of('fedprompt_jax.data.corpus.english')
    'data'
    """
    return module.split('.')[1]


def rooms_imported(module: str) -> set[str]:
    """The other rooms that a module imports."""
    ours = [n for n in imports(module) if n.startswith(f'{PACKAGE}.')]
    return {room_of(name) for name in ours} - {room_of(module)}


def graph() -> dict[str, set[str]]:
    """Room -> the rooms that it imports."""
    edges: dict[str, set[str]] = {}
    for module in MODULES:
        if module != PACKAGE:
            found = edges.setdefault(room_of(module), set())
            found |= rooms_imported(module)
    return edges


def importers_first(edges: Graph) -> list[str]:
    """The rooms, each before those that it imports; equals by their names."""
    order: list[str] = []
    while left := sorted(set(edges) - set(order)):
        free = [r for r in left if not any(r in edges[o] for o in left)]
        order.append((free or left)[0])
    return order


def without_shortcuts(edges: Graph) -> dict[str, set[str]]:
    """The edges between which no longer path leads."""

    def reached(start: str) -> set[str]:
        found, todo = set(), [start]
        while todo:
            new = edges[todo.pop()] - found
            found |= new
            todo += new
        return found

    beyond = {room: reached(room) for room in edges}
    return {
        room: {
            one
            for one in imported
            if not any(one in beyond[o] for o in imported - {one})
        }
        for room, imported in edges.items()
    }


def page() -> str:
    """The text of docs/modules.md."""
    edges = graph()
    order = importers_first(edges)
    lines = [_HEAD, *_mermaid(edges, order)]
    for room in order:
        if _is_folder(room):
            lines += _room(room, edges)
    lines += ['', '## Outside the rooms', '']
    alone = [f'{PACKAGE}.{room}' for room in order if not _is_folder(room)]
    lines += _table(alone)
    return '\n'.join(lines) + '\n'


def _is_folder(room: str) -> bool:
    return MODULES[f'{PACKAGE}.{room}'].name == '__init__.py'


def _mermaid(edges: Graph, order: list[str]) -> Iterator[str]:
    yield '```mermaid'
    yield 'graph TD'
    for room in order:
        yield f'  {room}' if _is_folder(room) else f'  {room}([{room}])'
    drawn = without_shortcuts(edges)
    for room in order:
        yield from (f'  {room} --> {o}' for o in order if o in drawn[room])
    yield '```'


def _room(room: str, edges: Graph) -> Iterator[str]:
    whole = f'{PACKAGE}.{room}'
    yield from ('', f'## {room}', '', _summary(whole))
    sentence = f'It imports {_listed(edges[room]) or "no other room"}.'
    yield from ('', textwrap.fill(sentence, 80))
    inside = [m for m in MODULES if m.startswith(f'{whole}.')]
    yield ''
    yield from _table(inside)


def _table(modules: Iterable[str]) -> Iterator[str]:
    yield '| module | what it is for | imports |'
    yield '| --- | --- | --- |'
    for module in modules:
        path = MODULES[module].relative_to(ROOT / PACKAGE).as_posix()
        text = _summary(module).replace('|', r'\|')
        yield f'| `{path}` | {text} | {_listed(rooms_imported(module))} |'


def _listed(rooms: Iterable[str]) -> str:
    return ', '.join(f'`{room}`' for room in sorted(rooms))


def _summary(module: str) -> str:
    return (ast.get_docstring(_tree(module)) or '').partition('\n')[0]


if __name__ == '__main__':
    PAGE.write_text(page(), 'utf-8')
