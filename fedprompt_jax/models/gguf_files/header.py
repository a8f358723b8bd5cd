"""The header of a GGUF file: metadata, and where each tensor lies."""

import mmap
from pathlib import Path
import struct
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.models.gguf_files.reader import Reader

_VERSIONS = (2, 3)  # which differ in the byte order that they allow
_OLD_MAGICS = (b'lmgg', b'fmgg', b'tjgg', b'algg')  # of GGML, before GGUF
_STRING, _ARRAY, _BOOL = 8, 9, 7
# struct's formats of the numbers, by GGUF's number of their type.
_FORMATS = dict(enumerate('BbHhIif?')) | {10: 'Q', 11: 'q', 12: 'd'}
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
    reader = Reader(path)
    _check_version(reader)
    num_tensors, num_fields = reader.number('Q'), reader.number('Q')
    fields: dict[str, Any] = {}
    for _ in range(num_fields):
        key = reader.name('a metadata key')
        if key in fields:
            raise reader.damaged(f'it has the metadata key {key} twice')
        fields[key] = _value(reader, reader.number('I'), key)
    infos: dict[str, Info] = {}
    for _ in range(num_tensors):
        info = _info(reader)
        if info.name in infos:
            raise reader.damaged(f'it has the tensor {info.name} twice')
        infos[info.name] = info
    return Header(fields, list(infos.values()), reader.content, reader.at)


def _check_version(reader: Reader) -> None:
    """Reads magic and version; ValueError if they are not ours."""
    magic = bytes(reader.content[:4])
    if magic in _OLD_MAGICS:
        raise ValueError(
            f'{reader.path} has the format that came before GGUF (it starts '
            f'with {magic!r}); convert the model again with a newer '
            'llama.cpp.'
        )
    if magic != b'GGUF':
        raise ValueError(
            f'{reader.path} is not a GGUF file: no GGUF magic, it starts '
            f'with {magic!r}; download it again.'
        )
    reader.at = 4
    version = reader.number('I')
    if version in _VERSIONS:
        return
    if version and version & 0xFFFF == 0:
        raise ValueError(
            f'{reader.path} is made for big-endian machines; run '
            'gguf-convert-endian on a copy of it with "little", or '
            'download the little-endian file.'
        )
    if version == 1:
        raise ValueError(
            f'{reader.path} has GGUF version 1, which is too old; convert '
            'the model again with a newer llama.cpp.'
        )
    if version == 0:
        raise reader.damaged('it has GGUF version 0')
    raise ValueError(
        f'{reader.path} has GGUF version {version}, which is newer than '
        f'those that are read here, {_VERSIONS[0]} and {_VERSIONS[1]} (or '
        'the file is damaged); use the checkpoint in safetensors.'
    )


def _value(reader: Reader, kind: int, key: str) -> Any:
    """A value of metadata."""
    if kind == _STRING:
        return reader.string(key)
    if kind == _ARRAY:
        return _array(reader, key)
    if kind not in _FORMATS:
        raise reader.damaged(f'{key} has the unknown type {kind}')
    return reader.number(_FORMATS[kind], key)


def _array(reader: Reader, key: str) -> list[Any]:
    """An array of numbers or of strings."""
    kind, count = reader.number('I', key), reader.number('Q', key)
    if kind != _STRING and kind not in _FORMATS:
        raise reader.damaged(f'{key} has entries of the unknown type {kind}')
    size = 8 if kind == _STRING else struct.calcsize(_FORMATS[kind])
    start = reader.take(count * size, key)
    if count > _MOST_ENTRIES:
        raise reader.damaged(f'{key} has {count} entries')
    if kind == _STRING:
        reader.at = start  # (That was the least that they need.)
        return [reader.string(key) for _ in range(count)]
    form = '<' + _FORMATS[kind]
    values = np.frombuffer(
        reader.content, 'u1' if kind == _BOOL else form, count, start
    )
    if kind == _BOOL and (values > 1).any():
        raise reader.damaged(f'{key} has entries neither true nor false')
    return values.astype(form).tolist()


def _info(reader: Reader) -> Info:
    """An entry of the tensor table."""
    name = reader.name('the name of a tensor')
    count = reader.number('I', name)
    if not 1 <= count <= 4:
        raise reader.damaged(f'the tensor {name} has {count} axes')
    dims = tuple(reader.number('Q', name) for _ in range(count))
    if 0 in dims:
        raise reader.damaged(f'the tensor {name} has the shape {dims[::-1]}')
    return Info(name, dims, reader.number('I', name), reader.number('Q', name))
