"""Computes the next item in a thread while the last one is used."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')


def prefetched(make: Callable[[int], T], numbers: Iterable[int]) -> Iterator[T]:
    """Yields make(n) for each number n; a thread computes the next one.

    Only one is computed ahead, so that memory does not grow. An exception of
    make() is raised when its item is due.
    """
    with ThreadPoolExecutor(1, 'prefetch') as pool:
        waiting = None
        for number in numbers:
            coming = pool.submit(make, number)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
