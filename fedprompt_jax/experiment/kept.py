"""What the runs of one process share: model and token store, loaded once."""

from collections.abc import Callable, Hashable
import threading
from typing import Any


class Kept:
    """Keeps the last thing of each name, and makes it only when asked."""

    def __init__(self) -> None:
        self._things: dict[str, tuple[Hashable, Any]] = {}
        self._one_at_a_time = threading.RLock()

    def get(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """The thing of that name, made anew where it is of another key.

        Args:
          name: what it is. One thing of each is kept: two models might not
            fit in memory.
          key: all that it depends on.
          make: how to make it.
        """
        with self._one_at_a_time:
            have = self._things.get(name)
            if have is None or have[0] != key:
                self._things.pop(name, None)  # before the next is made
                have = self._things[name] = (key, make())
            return have[1]
