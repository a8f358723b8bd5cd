"""Calls written in a config, such as 'adam(b1=0.9)' or 'median'.

One string holds a name and its arguments, so that choosing another name on the
command line leaves no argument of the old one behind.
"""

import ast
from collections.abc import Callable, Mapping
import difflib
import inspect
from typing import Any


def parse(spec: str, kind: str, example: str) -> tuple[str, dict[str, Any]]:
    """Name and keyword arguments of a call of literals.

    Args:
      spec: the text.
      kind: what it should be, with its article, for the error.
      example: what could be written.

    Raises:
      ValueError: the text is no such call.
    """
    try:
        call = ast.parse(spec.strip(), mode='eval').body
        if isinstance(call, ast.Name):
            return call.id, {}
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError
        if not isinstance(call.func, ast.Name):
            raise ValueError
        return call.func.id, {
            str(k.arg): ast.literal_eval(k.value) for k in call.keywords
        }
    except (SyntaxError, ValueError):
        raise ValueError(f'{spec!r} is not {kind}; write {example}.') from None


def call(
    spec: str, functions: Mapping[str, Callable], kind: str, *args: Any
) -> Any:
    """What the named function returns for `args` and the spec's arguments.

    Raises:
      ValueError: there is no such function or argument, or a value is wrong;
        it names what there is.
    """
    article = 'an' if kind[0] in 'aeiou' else 'a'
    name, kwargs = parse(spec, f'{article} {kind}', repr(next(iter(functions))))
    if name not in functions:
        near = difflib.get_close_matches(name, functions, 1)
        hint = f' (did you mean {near[0]!r}?)' if near else ''
        raise ValueError(
            f'{spec!r}: there is no {kind} {name!r}; use one of '
            f'{", ".join(functions)}{hint}.'
        )
    known = [*inspect.signature(functions[name]).parameters][len(args) :]
    for key in kwargs:
        if key not in known:
            takes = f'takes {", ".join(known)}' if known else 'takes none'
            raise ValueError(
                f'{spec!r}: {name} has no argument {key!r}; it {takes}.'
            )
    for key, value in kwargs.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f'{spec!r}: {key}={value!r} must be a number.')
    try:
        return functions[name](*args, **kwargs)
    except (ValueError, TypeError) as error:
        raise ValueError(f'{spec!r}: {error}') from error
