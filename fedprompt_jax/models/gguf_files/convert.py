"""A GGUF file, made into a Hugging Face folder.

Quantised tensors become float32, and what llama.cpp changed in them (the
order of rows, a transpose, a one added to norms) is undone.
"""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import struct
from typing import Any, BinaryIO

import gguf
import numpy as np
import tqdm

from fedprompt_jax import files
from fedprompt_jax.models import (
    families,
)
from fedprompt_jax.models.gguf_files import archs, tokenizer
from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.tensors import Tensor, unmatched

_CHUNK_BYTES = 1 << 22  # rows are converted in pieces of about this size


def convert(gguf_path: str | Path, out_folder: str | Path) -> Path:
    """The folder with config, float32 safetensors and tokenizer of a GGUF.

    It appears whole or not at all, and never replaces one that another
    process has finished meanwhile. Raises ValueError where the file is not
    GGUF or holds a model or tokenizer that we would not compute exactly.
    """
    out = Path(out_folder)
    file = GGUFFile(Path(gguf_path))
    arch = archs.of(file)
    config = _config(file, arch.config(file))
    tensors = arch.tensors(file, config)
    file.faults += unmatched(tensors, file.shapes)
    file.raise_faults()
    with files.whole_folder(out) as folder:
        _write_json(folder / 'config.json', config)
        tokenizer.save(file, folder)
        with (folder / 'model.safetensors').open('wb') as stream:
            _write_tensors(stream, file, tensors)
    return out


def _config(file: GGUFFile, config: dict[str, Any]) -> dict[str, Any]:
    """The whole config.json, of a decoder that can be computed."""
    file.raise_faults()
    config = config | {
        'tie_word_embeddings': file.tied,
        'torch_dtype': 'float32',
        **tokenizer.special_ids(file),
    }
    families.model_config(config)
    return config


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')


def _write_tensors(
    stream: BinaryIO, file: GGUFFile, tensors: Mapping[str, Tensor]
) -> None:
    """Writes safetensors as a stream, which its library cannot.

    The format: the header's length (u64), the header in JSON padded to eight
    bytes, then the tensors in the header's order.
    """
    kept = [t for t in file.reader.tensors if tensors[t.name].name]
    header: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
    offset = 0
    for tensor in kept:
        rule, shape = tensors[tensor.name], file.shapes[tensor.name]
        end = offset + 4 * int(np.prod(shape))
        header[rule.name] = {
            'dtype': 'F32',
            'shape': shape[::-1] if rule.transpose else shape,
            'data_offsets': [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    stream.write(struct.pack('<Q', len(text)) + text)
    for tensor in tqdm.tqdm(kept, 'convert GGUF', disable=None):
        pieces = _floats(tensor, tensors[tensor.name])
        if tensors[tensor.name].transpose:  # its first row needs all of them
            pieces = iter([np.concatenate(list(pieces)).T])
        for rows in pieces:
            stream.write(np.ascontiguousarray(rows, '<f4').data)


def _floats(tensor: gguf.ReaderTensor, rule: Tensor) -> Iterator[np.ndarray]:
    """The tensor in float32 and HF's row order, piece by piece."""
    data = tensor.data
    if data.ndim == 1:  # a norm or a bias, whose numbers are the rows
        (values,) = _dequantize(tensor, data[None], rule)
        yield values if rule.order is None else values[rule.order]
        return
    step = max(1, _CHUNK_BYTES // (4 * int(tensor.shape[0])))
    for start in range(0, len(data), step):
        where: Any = slice(start, start + step)
        if rule.order is not None:
            where = rule.order[where]
        yield _dequantize(tensor, data[where], rule)


def _dequantize(
    tensor: gguf.ReaderTensor, data: np.ndarray, rule: Tensor
) -> np.ndarray:
    try:
        values = gguf.quants.dequantize(data, tensor.tensor_type)
    except NotImplementedError as error:
        raise ValueError(f'GGUF file: {tensor.name}: {error}') from error
    # (A sum with 0 would lose the sign of -0.)
    return values + np.float32(rule.shift) if rule.shift else values
