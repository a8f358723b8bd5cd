"""The header of a GGUF file: metadata, and where each tensor lies.

Every length is compared with the file's size before it is used, so that a
damaged file is refused at once: it can ask for no memory and for no time. The
gguf package's reader does not do so.
"""

import mmap
from pathlib import Path
import reprlib
import struct
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax import files

_VERSIONS = (2, 3)  # which differ in the byte order that they allow
_OLD_MAGICS = (b'lmgg', b'fmgg', b'tjgg', b'algg')  # of GGML, before GGUF
_STRING, _ARRAY, _BOOL = 8, 9, 7
# struct's formats of the numbers, by GGUF's number of their type.
_FORMATS = dict(enumerate('BbHhIif?')) | {10: 'Q', 11: 'q', 12: 'd'}
_LONGEST_NAME = 512  # characters; llama.cpp allows tensors 63
_MOST_ENTRIES = 1 << 24  # of an array; vocabularies have less than 2^19


class Info(NamedTuple):
    """An entry of the tensor table.

    Attributes:
      name: of the tensor.
      dims: its shape, the fastest axis first.
      kind: number of its type.
      offset: in bytes, from the start of the data.
    """

    name: str
    dims: tuple[int, ...]
    kind: int
    offset: int


class Header(NamedTuple):
    """All of a file before its data.

    Attributes:
      fields: metadata by their keys; arrays are lists.
      infos: the tensor table.
      content: the whole file, mapped and read only.
      end: of the header, in bytes.
    """

    fields: dict[str, Any]
    infos: list[Info]
    content: mmap.mmap
    end: int


def read(path: Path) -> Header:
    """The header; ValueError with a sentence where it is not a sound one."""
    reader = _Reader(path)
    reader.check_version()
    num_tensors, num_fields = reader.number('Q'), reader.number('Q')
    fields: dict[str, Any] = {}
    for _ in range(num_fields):
        key = reader.name('a metadata key')
        if key in fields:
            raise reader.damaged(f'it has the metadata key {key} twice')
        fields[key] = reader.value(reader.number('I'), key)
    infos: dict[str, Info] = {}
    for _ in range(num_tensors):
        info = reader.info()
        if info.name in infos:
            raise reader.damaged(f'it has the tensor {info.name} twice')
        infos[info.name] = info
    return Header(fields, list(infos.values()), reader.content, reader.at)


class _Reader:
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

    def check_version(self) -> None:
        """Reads magic and version; ValueError if they are not ours."""
        magic = bytes(self.content[:4])
        if magic in _OLD_MAGICS:
            raise ValueError(
                f'{self.path} has the format that came before GGUF (it starts '
                f'with {magic!r}); convert the model again with a newer '
                'llama.cpp.'
            )
        if magic != b'GGUF':
            raise ValueError(
                f'{self.path} is not a GGUF file: no GGUF magic, it starts '
                f'with {magic!r}; download it again.'
            )
        self.at = 4
        version = self.number('I')
        if version in _VERSIONS:
            return
        if version and version & 0xFFFF == 0:
            raise ValueError(
                f'{self.path} is made for big-endian machines; run '
                f'gguf-convert-endian on a copy of it with "little", or '
                'download the little-endian file.'
            )
        if version == 1:
            raise ValueError(
                f'{self.path} has GGUF version 1, which is too old; convert '
                'the model again with a newer llama.cpp.'
            )
        if version == 0:
            raise self.damaged('it has GGUF version 0')
        raise ValueError(
            f'{self.path} has GGUF version {version}, which is newer than '
            f'those that are read here, {_VERSIONS[0]} and {_VERSIONS[1]} (or '
            'the file is damaged); use the checkpoint in safetensors.'
        )

    def take(self, count: int, what: str = 'its header') -> int:
        """Where the next `count` bytes start; they are there."""
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

    def value(self, kind: int, key: str) -> Any:
        """A value of metadata."""
        if kind == _STRING:
            return self.string(key)
        if kind == _ARRAY:
            return self.array(key)
        if kind not in _FORMATS:
            raise self.damaged(f'{key} has the unknown type {kind}')
        return self.number(_FORMATS[kind], key)

    def array(self, key: str) -> list[Any]:
        """An array of numbers or of strings."""
        kind, count = self.number('I', key), self.number('Q', key)
        if kind != _STRING and kind not in _FORMATS:
            raise self.damaged(f'{key} has entries of the unknown type {kind}')
        size = 8 if kind == _STRING else struct.calcsize(_FORMATS[kind])
        start = self.take(count * size, key)
        if count > _MOST_ENTRIES:
            raise self.damaged(f'{key} has {count} entries')
        if kind == _STRING:
            self.at = start  # (That was the least that they need.)
            return [self.string(key) for _ in range(count)]
        form = '<' + _FORMATS[kind]
        values = np.frombuffer(
            self.content, 'u1' if kind == _BOOL else form, count, start
        )
        if kind == _BOOL and (values > 1).any():
            raise self.damaged(f'{key} has entries neither true nor false')
        return values.astype(form).tolist()

    def info(self) -> Info:
        """An entry of the tensor table."""
        name = self.name('the name of a tensor')
        count = self.number('I', name)
        if not 1 <= count <= 4:
            raise self.damaged(f'the tensor {name} has {count} axes')
        dims = tuple(self.number('Q', name) for _ in range(count))
        if 0 in dims:
            raise self.damaged(f'the tensor {name} has the shape {dims[::-1]}')
        return Info(name, dims, self.number('I', name), self.number('Q', name))


def _map(path: Path) -> mmap.mmap:
    try:
        if (fault := files.not_the_file(path)) is not None:
            raise ValueError(f'{path} {fault}.')
        with path.open('rb') as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
