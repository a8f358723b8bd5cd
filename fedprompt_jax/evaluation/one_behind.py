"""Batches that are dispatched ahead: each is read when the next one is queued.

The devices begin with a batch while the host still works on the results of the
one before. Two results exist at a time, which are small.

    >>> import numpy as np
    >>> def dispatched():
    ...     for n in range(3):
    ...         print('dispatch', n)
    ...         yield n, np.full(2, n)
    >>> for n, values in one_behind(dispatched()):
    ...     print('read', n, values)
    dispatch 0
    dispatch 1
    read 0 [0 0]
    dispatch 2
    read 1 [1 1]
    read 2 [2 2]
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from fedprompt_jax.mesh import fetch

T = TypeVar('T')


def one_behind(batches: Iterable[tuple[T, Any]]) -> Iterator[tuple[T, Any]]:
    """Yields each batch with its results on the host, in one transfer.

    Args:
      batches: pairs of anything and a tree of arrays; the next pair is asked
        for before the arrays of the last one are read.
    """
    waiting: list[tuple[T, Any]] = []
    for batch in batches:
        waiting.append(batch)
        if len(waiting) == 2:
            key, results = waiting.pop(0)
            yield key, fetch(results)
    for key, results in waiting:
        yield key, fetch(results)
