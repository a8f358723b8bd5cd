"""Numbers that the host computes of a device's arrays once they are there."""

from collections.abc import Callable
from typing import Any

import flax.struct
import numpy as np


@flax.struct.dataclass
class Later:
    """A number whose arrays may still be on their way.

    A round makes its metrics of such numbers, so that it waits for nothing: its
    arrays are leaves of a tree, and mesh.fetch brings all of them at once.
    Whoever asks for the number before that waits for it.

        >>> mean = Later(np.mean, np.array([1.0, 3.0]))
        >>> float(mean), np.asarray(mean).item()
        (2.0, 2.0)

    Attributes:
      compute: (arrays) -> the number, on the host.
      arrays: its argument, any tree of arrays.
    """

    compute: Callable[[Any], float] = flax.struct.field(pytree_node=False)
    arrays: Any

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        del copy  # it is always a new array
        return np.asarray(self.compute(self.arrays), dtype)

    def __float__(self) -> float:
        return float(self.compute(self.arrays))

    def __int__(self) -> int:
        return int(self.compute(self.arrays))


def numbers(metrics: dict[str, Any], read: dict[str, Any]) -> dict[str, Any]:
    """The plain numbers of metrics, in the order of their names.

    Args:
      metrics: as they were made; JAX sorts the names of what it fetches.
      read: the same on the host.
    """
    return {name: np.asarray(read[name]).item() for name in metrics}
