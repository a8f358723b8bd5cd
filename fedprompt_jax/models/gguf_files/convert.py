"""A GGUF file, made into a Hugging Face folder.

Quantised tensors become float32, and what llama.cpp changed in them (the
order of rows, a transpose, a one added to norms) is undone.
"""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import struct
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tqdm

from fedprompt_jax import files
from fedprompt_jax.models import families
from fedprompt_jax.models.gguf_files import archs, fit, tokenizer
from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.storage import Stored
from fedprompt_jax.models.gguf_files.tensors import Tensor, unmatched
from fedprompt_jax.models.gguf_files.tokenizer import GGUFTokenizer

_CHUNK_BYTES = 1 << 22  # rows are converted in pieces of about this size


class _Plan(NamedTuple):
    """The parts of the folder that a GGUF file becomes.

    Attributes:
      file: the file.
      config: config.json.
      tensors: what each tensor becomes, by its name in the file.
      tokenizer: of the file.
    """

    file: GGUFFile
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    tokenizer: GGUFTokenizer


def check(gguf_path: str | Path) -> None:
    """Raises ValueError where `convert` would; no tensor's data is read."""
    _plan(Path(gguf_path))


def convert(gguf_path: str | Path, out_folder: str | Path) -> Path:
    """The folder with config, float32 safetensors and tokenizer of a GGUF.

    It appears whole or not at all, and never replaces one that another
    process has finished meanwhile. Raises ValueError where the file is not
    GGUF or holds a model or tokenizer that we would not compute exactly.
    """
    out = Path(out_folder)
    plan = _plan(Path(gguf_path))
    with files.whole_folder(out) as folder:
        _write_json(folder / 'config.json', plan.config)
        tokenizer.save(plan.file, plan.tokenizer, folder)
        with (folder / 'model.safetensors').open('wb') as stream:
            _write_tensors(stream, plan.file, plan.tensors)
    return out


def _plan(path: Path) -> _Plan:
    """Plans the conversion of a file; raises ValueError with all its faults."""
    file = GGUFFile(path)
    arch = archs.of(file)
    config = arch.config(file)
    file.raise_faults()
    its = tokenizer.read(file)
    config |= {
        'tie_word_embeddings': file.tied,
        'torch_dtype': 'float32',
        **its.special.ids,
    }
    try:
        families.model_config(config)
    except ValueError as error:
        raise file.error(
            f'its settings are those of no supported model ({error}).'
        ) from error
    tensors = arch.tensors(file, config)
    file.faults += unmatched(tensors, file.shapes)
    file.raise_faults()
    file.faults += fit.misshapen(tensors, file.shapes, config)
    file.raise_faults()
    return _Plan(file, config, tensors, its)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')


def _write_tensors(
    stream: BinaryIO, file: GGUFFile, tensors: Mapping[str, Tensor]
) -> None:
    """Writes safetensors as a stream, which its library cannot.

    The format: the header's length (u64), the header in JSON padded to eight
    bytes, then the tensors in the header's order.
    """
    wanted = [t for t in file.tensors if tensors[t.name].name]
    header: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
    offset = 0
    for tensor in wanted:
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
    for tensor in tqdm.tqdm(wanted, 'convert GGUF', disable=None):
        pieces = _floats(tensor, tensors[tensor.name])
        if tensors[tensor.name].transpose:  # its first row needs all of them
            pieces = iter([np.concatenate(list(pieces)).T])
        for rows in pieces:
            stream.write(np.ascontiguousarray(rows, '<f4').data)


def _floats(tensor: Stored, rule: Tensor) -> Iterator[np.ndarray]:
    """The tensor in float32 and HF's row order, piece by piece."""
    data = tensor.data
    if data.ndim == 1:  # a norm or a bias, whose numbers are the rows
        (values,) = _dequantize(tensor, data[None], rule)
        yield values if rule.order is None else values[rule.order]
        return
    step = max(1, _CHUNK_BYTES // (4 * tensor.shape[-1]))
    for start in range(0, len(data), step):
        where: Any = slice(start, start + step)
        if rule.order is not None:
            where = rule.order[where]
        yield _dequantize(tensor, data[where], rule)


def _dequantize(tensor: Stored, data: np.ndarray, rule: Tensor) -> np.ndarray:
    values = tensor.floats(data)
    # (A sum with 0 would lose the sign of -0.)
    return values + np.float32(rule.shift) if rule.shift else values
