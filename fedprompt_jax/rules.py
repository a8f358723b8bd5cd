"""What the value of a config's key must be: a test, and the same in words."""

from collections.abc import Callable
import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Rule:
    """A test of a value, and what it demands: 'must be {words}'."""

    holds: Callable[[Any], bool]
    words: str


def number(
    least: float, *, above: bool = False, most: float = math.inf
) -> Rule:
    """A finite number from `least` (or above it) to `most`."""
    words = f'above {least:g}' if above else f'at least {least:g}'
    if most < math.inf:
        words += f' and at most {most:g}'

    def holds(x) -> bool:
        if not isinstance(x, (int, float)) or not math.isfinite(x):
            return False
        return (x > least if above else x >= least) and x <= most

    return Rule(holds, words)


def one_of(*values: Any) -> Rule:
    """One of a few values."""
    return Rule(lambda x: x in values, f'one of {", ".join(map(repr, values))}')
