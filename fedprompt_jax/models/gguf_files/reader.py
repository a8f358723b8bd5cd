"""Reads a GGUF file's bytes, none beyond its end.

Every length is compared with the file's size before it is used, so that a
damaged file is refused at once: it can ask for no memory and for no time. The
gguf package's reader does not do so.
"""

import mmap
from pathlib import Path
import reprlib
import struct
from typing import Any

from fedprompt_jax import intact

_LONGEST_NAME = 512  # characters; llama.cpp allows tensors 63


class Reader:
    """Reads the file from front to back.

    Attributes:
      path: of the file.
      content: the whole file.
      at: the byte that is read next.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.content, self.at = path, _map(path), 0

    def damaged(self, what: str) -> ValueError:
        """An error for what no writer of GGUF files would write."""
        return ValueError(f'{self.path} is damaged: {what}; download it again.')

    def take(self, count: int, what: str = 'its header') -> int:
        """The offset of the next `count` bytes; raises if they are missing."""
        start, end = self.at, self.at + count
        if end > len(self.content):
            raise ValueError(
                f'{self.path} is not a whole GGUF file, or is damaged: {what} '
                f'needs bytes {start} to {end}, but the file has '
                f'{len(self.content)}; download it again.'
            )
        self.at = end
        return start

    def number(self, form: str, what: str = 'its header') -> Any:
        """A number of one of struct's formats."""
        start = self.take(struct.calcsize('<' + form), what)
        if form == '?' and self.content[start] > 1:
            raise self.damaged(f'{what} is neither true nor false')
        return struct.unpack_from('<' + form, self.content, start)[0]

    def string(self, what: str) -> str:
        """A string: its length, and its bytes in UTF-8."""
        size = self.number('Q', what)
        start = self.take(size, what)
        try:
            return self.content[start : start + size].decode('utf-8')
        except UnicodeDecodeError as error:
            raise self.damaged(f'{what} is not UTF-8') from error

    def name(self, what: str) -> str:
        """A string that can be shown."""
        name = self.string(what)
        if not name.isprintable() or not 1 <= len(name) <= _LONGEST_NAME:
            raise self.damaged(f'{what} is {reprlib.repr(name)}')
        return name


def _map(path: Path) -> mmap.mmap:
    try:
        if (fault := intact.not_the_file(path)) is not None:
            raise ValueError(f'{path} {fault}.')
        with path.open('rb') as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
