"""Cases that `make exhaustive` runs and `pytest` alone leaves out.

The suite has each law with a few models, kinds and algorithms that differ most
in what the law is about. The same law with all others, and with more processes,
takes as long again.
"""

from collections.abc import Collection, Iterable
from typing import Any

import pytest

exhaustive = pytest.mark.exhaustive


def beyond(suite: Collection[Any], cases: Iterable[Any]) -> list[Any]:
    """All cases, as parameters of pytest.

    Args:
      suite: the cases that the suite has.
      cases: those, and cases that are exhaustive. A tuple has the values of
        several parameters; a list is one value.
    """
    found = []
    missing = list(suite)
    for case in cases:
        values = case if isinstance(case, tuple) else (case,)
        if case in suite:
            missing.remove(case)
            found.append(pytest.param(*values))
        else:
            found.append(pytest.param(*values, marks=exhaustive))
    assert not missing, f'{missing} are not among the cases'
    return found
