"""Where the numbers of a GGUF file's tensors lie, and what type they have."""

from collections.abc import Iterator
import functools
import importlib.metadata
import math
from pathlib import Path
import reprlib
from typing import NamedTuple

import gguf
import numpy as np

from fedprompt_jax.models.gguf_files.header import Header, Info

_ALIGNMENT = 'general.alignment'
# Types that llama.cpp has dropped, which newer gguf packages do not know.
_RETIRED = {
    4: 'Q4_2',
    5: 'Q4_3',
    31: 'Q4_0_4_4',
    32: 'Q4_0_4_8',
    33: 'Q4_0_8_8',
    36: 'IQ4_NL_4_4',
    37: 'IQ4_NL_4_8',
    38: 'IQ4_NL_8_8',
}
_OTHER = 'use another quantization of the model, or its safetensors'


class Stored(NamedTuple):
    """A tensor as it is stored.

    Attributes:
      name: of the tensor.
      shape: of its numbers, the fastest axis last.
      kind: the type of its numbers.
      data: u8 [*shape[:-1], bytes of a row].
    """

    name: str
    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    data: np.ndarray

    def floats(self, data: np.ndarray) -> np.ndarray:
        """f32, of some of the rows of `data`."""
        return gguf.quants.dequantize(data, self.kind)


def tensors(path: Path, header: Header) -> list[Stored]:
    """All tensors of a file, of which nothing is read yet.

    Raises ValueError where a type is not known or the tensors do not fill the
    file from the header to its end, one after the other, as llama.cpp demands.
    """
    if faults := list(_types(header.infos)):
        raise ValueError(f'{path}: ' + '; '.join(faults) + '.')
    alignment = _alignment(path, header)
    start = offset = _padded(header.end, alignment)
    size = len(header.content)
    stored = []
    for info in header.infos:
        if start + info.offset != offset:
            raise ValueError(
                f'{path} is damaged: the tensor {info.name} starts at byte '
                f'{start + info.offset}, but must start at {offset}, after '
                'the one before it; download it again.'
            )
        row = _row_bytes(path, info)
        end = offset + row * math.prod(info.dims[1:])
        if end > size:
            raise ValueError(
                f'{path} is not a whole GGUF file: the tensor {info.name} '
                f'ends at byte {end}, but the file has {size}; download it '
                'again.'
            )
        shape = info.dims[::-1]
        data = np.frombuffer(header.content, np.uint8, end - offset, offset)
        data = data.reshape(*shape[:-1], row)
        kind = gguf.GGMLQuantizationType(info.kind)
        stored.append(Stored(info.name, shape, kind, data))
        offset = _padded(end, alignment)
    if size > offset:  # (The last tensor may come without padding.)
        raise ValueError(
            f'{path} is damaged: its tensors end at byte {offset}, but the '
            f'file has {size}; download it again.'
        )
    return stored


def _alignment(path: Path, header: Header) -> int:
    """Every tensor starts at a multiple of it, from the start of the data."""
    value = header.fields.get(_ALIGNMENT, gguf.GGUF_DEFAULT_ALIGNMENT)
    if type(value) is not int or value < 1 or value & (value - 1):
        raise ValueError(
            f'{path} is damaged: {_ALIGNMENT}={reprlib.repr(value)} must be a '
            'power of two; download it again.'
        )
    return value


def _types(infos: list[Info]) -> Iterator[str]:
    """A sentence on each type that cannot be read."""
    version = importlib.metadata.version('gguf')
    for kind in dict.fromkeys(info.kind for info in infos):
        names = [info.name for info in infos if info.kind == kind]
        what = f'tensor {names[0]}'
        if len(names) > 1:
            what += f' (and {len(names) - 1} more)'
        name = _name(kind)
        if kind in _RETIRED:
            yield (
                f'{what} has type {kind} ({_RETIRED[kind]}), which llama.cpp '
                f'has dropped: {_OTHER}'
            )
        elif name is None:
            yield (
                f'{what} has type {kind}, which the installed gguf {version} '
                'does not know: pip install --upgrade gguf, or use the '
                'checkpoint in safetensors'
            )
        elif not _readable(kind):
            yield (
                f'{what} has type {kind} ({name}), which gguf {version} does '
                f'not turn into floats: {_OTHER}'
            )


def _name(kind: int) -> str | None:
    """The gguf package's name of a type; None where it has none."""
    try:
        quantization = gguf.GGMLQuantizationType(kind)
    except ValueError:
        return None
    return quantization.name if quantization in gguf.GGML_QUANT_SIZES else None


@functools.cache
def _readable(kind: int) -> bool:
    """Whether the gguf package makes floats of a type: it tries one block."""
    quantization = gguf.GGMLQuantizationType(kind)
    block = np.zeros((1, gguf.GGML_QUANT_SIZES[quantization][1]), np.uint8)
    try:
        gguf.quants.dequantize(block, quantization)
    except NotImplementedError:
        return False
    return True


def _row_bytes(path: Path, info: Info) -> int:
    """Bytes of a row, which consists of whole blocks."""
    kind = gguf.GGMLQuantizationType(info.kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    if info.dims[0] % block:
        raise ValueError(
            f'{path} is damaged: the tensor {info.name} has rows of '
            f'{info.dims[0]} numbers, but those of type {kind.name} come in '
            f'blocks of {block}; download it again.'
        )
    return info.dims[0] // block * size


def _padded(offset: int, alignment: int) -> int:
    return offset + -offset % alignment
