"""Makes the next thing while the last one is at work."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar('T')


def prefetched(make: Callable[[int], T], numbers: Iterable[int]) -> Iterator[T]:
    """make(n) for each number n, the next being made in a thread.

    One is made ahead, so that memory does not grow; what make() raises is
    raised when its turn comes.
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
