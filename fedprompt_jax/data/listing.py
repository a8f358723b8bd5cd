"""Lists of names in messages: a few of them, and how many more there are."""

from collections.abc import Sequence

MOST = 10  # names
WIDTH = 160  # characters of all of them together, so that a line stays short
LONGEST = 60  # characters of one name


def listing(names: Sequence[str], most: int = MOST) -> str:
    """The first names, separated by commas.

        >>> listing(['a', 'b', 'c'])
        'a, b, c'
        >>> listing([f'task {i}' for i in range(100_000)], most=2)
        'task 0, task 1, ... and 99,998 more'

    Args:
      names: in the order in which they are shown.
      most: most names shown; long names leave room for fewer.
    """
    shown: list[str] = []
    room = WIDTH
    for name in map(shortened, names[:most]):
        room -= len(name) + 2
        if shown and room < 0:
            break
        shown.append(name)
    more = len(names) - len(shown)
    return ', '.join(shown) + (f', ... and {more:,} more' if more else '')


def shortened(name: str) -> str:
    """A name on one line, cut after LONGEST characters."""
    line = ' '.join(name[: 10 * LONGEST].split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + '…'
