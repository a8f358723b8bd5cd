"""Counts what the host asks of the devices: programs, and arrays to read.

On a CPU with a single device NumPy reads an array without telling JAX. A
process that counts therefore has several: tests/waiting_test.py starts one.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
from unittest import mock

import jax
from jax._src import array as array_lib
from jax._src import pjit
from jax._src.interpreters import pxla


@dataclasses.dataclass
class Counts:
    """What was asked for.

    Attributes:
      programs: names of the programs that were dispatched, in order.
      reads: of each wait for arrays, how many arrays it was for; those of one
        jax.device_get come together. An array that was read before is at hand.
    """

    programs: list[str] = dataclasses.field(default_factory=list)
    reads: list[int] = dataclasses.field(default_factory=list)

    def clear(self) -> None:
        """Begins again."""
        self.programs.clear()
        self.reads.clear()


@contextlib.contextmanager
def counted() -> Iterator[Counts]:
    """Counts until the end of the block."""
    counts, known, together = Counts(), [], []
    value, get = array_lib.ArrayImpl._value, jax.device_get
    execute = pxla.ExecuteReplicated.__call__

    def read(x):
        if not any(x is other for other in known):
            known.append(x)
            if not together:
                counts.reads.append(0)
            counts.reads[-1] += 1
        return value.fget(x)

    def read_together(tree):
        counts.reads.append(0)
        together.append(True)
        try:
            return get(tree)
        finally:
            together.pop()
            if not counts.reads[-1]:
                counts.reads.pop()

    def dispatch(program, *args):
        counts.programs.append(program.name)
        return execute(program, *args)

    # Programs are called from C++ once they are known; here, from Python.
    jax.clear_caches()
    with (
        mock.patch.object(array_lib.ArrayImpl, '_value', property(read)),
        mock.patch.object(jax, 'device_get', read_together),
        mock.patch.object(pxla.ExecuteReplicated, '__call__', dispatch),
        mock.patch.object(pjit, '_get_fastpath_data', lambda *_: None),
    ):
        yield counts
