"""The safetensors files of a checkpoint folder: which they are, whose they are.

Nothing slow is imported, so that a config can be checked at once.
"""

import concurrent.futures
import hashlib
import json
from pathlib import Path
import struct
from typing import Any

from fedprompt_jax import digests, intact

_INDEX = 'model.safetensors.index.json'
_AUTO = {
    **dict.fromkeys(('t5', 'mt5'), 'AutoModelForSeq2SeqLM'),
    **dict.fromkeys(('roberta', 'xlm-roberta'), 'AutoModelForMaskedLM'),
}  # of the model types that are no causal language models
# Whatever a model is made of besides its weights.
_SMALL_FILES = (
    'added_tokens.json',
    'config.json',
    'generation_config.json',
    'merges.txt',
    'model.safetensors.index.json',
    'special_tokens_map.json',
    'tokenizer.json',
    'tokenizer.model',
    'tokenizer_config.json',
    'vocab.json',
)
_LONGEST_HEADER = 100_000_000  # bytes, as the safetensors library has it


def shard_paths(folder: str | Path) -> list[Path]:
    """The safetensors files of a checkpoint folder, each one existing.

    Raises:
      ValueError: there is none, or one that the index names is not there.
    """
    folder = Path(folder)
    if (folder / 'model.safetensors').exists():
        return [folder / 'model.safetensors']
    if not (folder / _INDEX).exists():
        raise ValueError(_no_safetensors(folder))
    names = sorted(set(weight_map(folder).values()))
    absent = [name for name in names if not (folder / name).exists()]
    if absent:
        raise ValueError(
            f'{folder / _INDEX} names files that are not there: '
            f'{", ".join(absent)}; download the rest of the checkpoint.'
        )
    return [folder / name for name in names]


def weight_map(folder: str | Path) -> dict[str, str]:
    """Tensor name -> file name, as the index says; {} for a single file.

    Raises:
      ValueError: the index is damaged.
    """
    index = Path(folder) / _INDEX
    if (Path(folder) / 'model.safetensors').exists() or not index.exists():
        return {}
    names = intact.read_json_object(index).get('weight_map')
    if not isinstance(names, dict) or not names:
        raise ValueError(
            f'{index} has no "weight_map" of tensor names to files; download '
            'it again.'
        )
    for tensor, name in names.items():
        if not isinstance(name, str) or not name.endswith('.safetensors'):
            raise ValueError(
                f'{index}: weight_map has {tensor!r} in {name!r}, which is no '
                'safetensors file; download the index again.'
            )
    return names


def tensor_names(folder: str | Path) -> set[str]:
    """Names of all tensors of a checkpoint folder, from their headers.

    Raises:
      ValueError: see shard_paths; or a file is damaged.
    """
    names: set[str] = set()
    for shard in shard_paths(folder):
        names |= read_header(shard).keys()
    return names - {'__metadata__'}


def aliases(shard: Path) -> dict[str, str]:
    """Tensors that share the memory of another one: name -> that one's name.

    safetensors' save_model stores such a tensor once, and notes its other
    names in the file's metadata.
    """
    header = read_header(shard)
    noted = header.get('__metadata__')
    pairs = noted.items() if isinstance(noted, dict) else ()
    return {
        name: stored
        for name, stored in pairs
        if stored in header and name not in header
    }


def read_header(shard: Path) -> dict[str, Any]:
    """The header of a safetensors file, which must be as long as it says.

    Raises:
      ValueError: the file is no safetensors file, or not a whole one.
    """
    intact.require_content(shard)
    size = shard.stat().st_size
    with shard.open('rb') as file:
        (length,) = struct.unpack('<Q', file.read(8).ljust(8, b'\xff'))
        if length > min(_LONGEST_HEADER, size - 8):
            raise ValueError(_damaged(shard, 'its header is cut'))
        text = file.read(length)
    try:
        header = json.loads(text)
        ends = [
            tensor['data_offsets'][1]
            for name, tensor in header.items()
            if name != '__metadata__'
        ]
        end = 8 + length + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError,
            RecursionError) as error:  # fmt: skip
        raise ValueError(_damaged(shard, 'its header is damaged')) from error
    if end != size:
        raise ValueError(
            _damaged(shard, f'it has {size} bytes and should have {end}')
        )
    return header


def _damaged(shard: Path, reason: str) -> str:
    return (
        f'{shard} is not a whole safetensors file ({reason}); copy or '
        'download it again.'
    )


def checkpoint_fingerprint(
    folder: str | Path, cache_dir: Path | None = None
) -> str:
    """The sha256 of all that a model is made of: weights, config, tokenizer.

    Any changed byte makes another model; where the folder lies and when its
    files were written does not. Hashing takes about as long as
    reading.

    Args:
      folder: of the checkpoint.
      cache_dir: where the hashes of large files are remembered, see
        digests.file_sha256; None: every file is read.
    """
    folder = Path(folder)
    small = [folder / name for name in _SMALL_FILES]
    paths = [*(path for path in small if path.exists()), *shard_paths(folder)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        hashes = pool.map(
            lambda path: digests.file_sha256(path, cache_dir), paths
        )
    lines = (
        f'{path.name} {digest}\n'
        for path, digest in zip(paths, hashes, strict=True)
    )
    return hashlib.sha256(''.join(lines).encode()).hexdigest()


def _no_safetensors(folder: Path) -> str:
    """Why a folder without safetensors cannot be read, and what to do."""
    pickles = sorted(
        path.name
        for suffix in ('bin', 'pt', 'pth')
        for path in folder.glob(f'*.{suffix}')
    )
    if not pickles:
        return (
            f'{folder} has neither model.safetensors nor '
            'model.safetensors.index.json; give the folder of a complete '
            'Hugging Face checkpoint.'
        )
    return (
        f'{folder} has its weights as pickle files only '
        f'({", ".join(pickles)}), which can run code when they are read. '
        + conversion(folder, str(folder), f'{folder}-safetensors')
    )


def conversion(here: Path, source: str, folder: str) -> str:
    """Says how to make a folder with safetensors from a checkpoint of pickles.

    Args:
      here: a folder that has its config.json.
      source: what transformers shall load.
      folder: what it shall make.
    """
    config = here / 'config.json'
    fields = intact.read_json_object(config) if config.exists() else {}
    kind = str(fields.get('model_type'))
    auto = _AUTO.get(kind, 'AutoModelForCausalLM')
    return (
        'Convert them where PyTorch is installed and the source is trusted: '
        f'python -c "from transformers import {auto} as M, '
        f"AutoTokenizer as T; f, to = '{source}', '{folder}'; "
        "M.from_pretrained(f, dtype='auto').save_pretrained(to); "
        'T.from_pretrained(f).save_pretrained(to)"'
    )
