"""What the runs of one process share: model and token store, loaded once."""

from collections.abc import Callable, Hashable
import threading
from typing import Any


class LastLoaded:
    """Remembers the last object of each name, such as the model."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[Hashable, Any]] = {}
        self._one_at_a_time = threading.RLock()

    def get(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """The object of that name; loaded again if its key has changed.

        Args:
          name: what the object is, such as 'model'. One of each name is
            remembered: two models might not fit in memory.
          key: everything that the object depends on.
          make: loads the object.
        """
        with self._one_at_a_time:
            entry = self._objects.get(name)
            if entry is None or entry[0] != key:
                self._objects.pop(name, None)  # before the next is made
                entry = self._objects[name] = (key, make())
            return entry[1]
