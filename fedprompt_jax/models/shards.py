"""The safetensors files of a checkpoint folder: which they are, whose they are.

Nothing slow is imported, so that a config can be checked at once.
"""

import hashlib
import json
from pathlib import Path
import struct

_AUTO = {
    **dict.fromkeys(('t5', 'mt5'), 'AutoModelForSeq2SeqLM'),
    **dict.fromkeys(('roberta', 'xlm-roberta'), 'AutoModelForMaskedLM'),
}  # of the model types that are no causal language models
_SAMPLES, _SAMPLE_BYTES = 256, 4096  # of each shard, for the fingerprint


def shard_paths(folder: str | Path) -> list[Path]:
    """The safetensors files of a checkpoint folder, each one existing."""
    folder = Path(folder)
    if (folder / 'model.safetensors').exists():
        return [folder / 'model.safetensors']
    index = folder / 'model.safetensors.index.json'
    if not index.exists():
        raise ValueError(_no_safetensors(folder))
    names = sorted(set(json.loads(index.read_text())['weight_map'].values()))
    absent = [name for name in names if not (folder / name).exists()]
    if absent:
        raise ValueError(
            f'{index} names files that are not there: {", ".join(absent)}; '
            'download the rest of the checkpoint.'
        )
    return [folder / name for name in names]


def tensor_names(folder: str | Path) -> set[str]:
    """Names of all tensors of a checkpoint folder, from their headers."""
    names: set[str] = set()
    for shard in shard_paths(folder):
        with shard.open('rb') as file:
            (size,) = struct.unpack('<Q', file.read(8))
            names |= json.loads(file.read(size)).keys()
    return names - {'__metadata__'}


def checkpoint_fingerprint(folder: str | Path) -> str:
    """A sha256 that tells checkpoints apart, in a second even at 16 GB.

    Covers the config, the tokenizer, and each shard's header, size and
    evenly spaced samples of its bytes; not the folder's place or times.
    """
    digest = hashlib.sha256()
    for name in ('config.json', 'tokenizer.json', 'tokenizer.model'):
        path = Path(folder) / name
        if path.exists():
            digest.update(name.encode() + path.read_bytes())
    for shard in shard_paths(folder):
        size = shard.stat().st_size
        digest.update(f'{shard.name} {size}'.encode())
        with shard.open('rb') as file:
            (header,) = struct.unpack('<Q', file.read(8))
            digest.update(file.read(header))
            for i in range(_SAMPLES):
                file.seek(8 + header + (size - 8 - header) * i // _SAMPLES)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


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
    """How to make a folder with safetensors of a checkpoint of pickles.

    Args:
      here: a folder that has its config.json.
      source: what transformers shall load.
      folder: what it shall make.
    """
    config = here / 'config.json'
    fields = json.loads(config.read_text('utf-8')) if config.exists() else {}
    kind = str(fields.get('model_type'))
    auto = _AUTO.get(kind, 'AutoModelForCausalLM')
    return (
        'Convert them where PyTorch is installed and the source is trusted: '
        f'python -c "from transformers import {auto} as M, '
        f"AutoTokenizer as T; f, to = '{source}', '{folder}'; "
        "M.from_pretrained(f, dtype='auto').save_pretrained(to); "
        'T.from_pretrained(f).save_pretrained(to)"'
    )
