"""A GGUF file of the Llama family, made into a Hugging Face folder.

Quantised tensors become float32. llama.cpp stores the rows of query and key
projections with the two halves of each head interleaved; that is undone.
"""

from collections.abc import Iterator
import json
from pathlib import Path
import re
import struct
from typing import Any, BinaryIO

import gguf
import numpy as np
import tqdm

from fedprompt_jax import files
from fedprompt_jax.models import families, gguf_tokenizer

_OUTER = {
    'token_embd.weight': 'model.embed_tokens.weight',
    'output_norm.weight': 'model.norm.weight',
    'output.weight': 'lm_head.weight',
}
_LAYER = {
    'attn_norm.weight': 'input_layernorm.weight',
    'attn_q.weight': 'self_attn.q_proj.weight',
    'attn_k.weight': 'self_attn.k_proj.weight',
    'attn_v.weight': 'self_attn.v_proj.weight',
    'attn_output.weight': 'self_attn.o_proj.weight',
    'ffn_norm.weight': 'post_attention_layernorm.weight',
    'ffn_gate.weight': 'mlp.gate_proj.weight',
    'ffn_up.weight': 'mlp.up_proj.weight',
    'ffn_down.weight': 'mlp.down_proj.weight',
}
_REQUIRED = (
    'llama.block_count',
    'llama.context_length',
    'llama.embedding_length',
    'llama.feed_forward_length',
    'llama.attention.head_count',
    'llama.attention.layer_norm_rms_epsilon',
)
_HEADS_AT_ONCE = 16  # rows are converted in pieces of this many heads


def convert(gguf_path: str | Path, out_folder: str | Path) -> Path:
    """The folder with config, float32 safetensors and tokenizer of a GGUF.

    It appears whole or not at all, and never replaces one that another
    process has finished meanwhile. Raises ValueError where the file is not
    GGUF or holds a model or tokenizer that we would not compute exactly.
    """
    out = Path(out_folder)
    reader = _open(Path(gguf_path))
    config = _config(reader)
    names = _names(reader, config)
    with files.whole_folder(out) as folder:
        _write_json(folder / 'config.json', config)
        gguf_tokenizer.save(reader, folder)
        with (folder / 'model.safetensors').open('wb') as file:
            _write_tensors(file, reader, names, config['head_dim'])
    return out


def _open(path: Path) -> gguf.GGUFReader:
    with path.open('rb') as file:
        if file.read(4) != b'GGUF':
            raise ValueError(f'{path} is not a GGUF file: no GGUF magic.')
    try:
        return gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(
            f'{path} is not a whole GGUF file ({error}); download it again.'
        ) from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')


def _config(reader: gguf.GGUFReader) -> dict[str, Any]:
    """The config.json of the model; ValueError where it is not plain Llama."""
    fields = {
        key: field.contents()
        for key, field in reader.fields.items()
        if not key.startswith('tokenizer.') and key != 'GGUF.version'
    }
    _refuse(reader, fields)

    def get(key: str, default: Any = None) -> Any:
        return fields.get(f'llama.{key}', default)

    heads, width = get('attention.head_count'), get('embedding_length')
    config = {
        'architectures': ['LlamaForCausalLM'],
        'model_type': 'llama',
        'vocab_size': _shapes(reader)['token_embd.weight'][0],
        'hidden_size': width,
        'intermediate_size': get('feed_forward_length'),
        'num_hidden_layers': get('block_count'),
        'num_attention_heads': heads,
        'num_key_value_heads': get('attention.head_count_kv', heads),
        'head_dim': get('attention.key_length', width // heads),
        'hidden_act': 'silu',
        'max_position_embeddings': get('context_length'),
        'rms_norm_eps': _short(get('attention.layer_norm_rms_epsilon')),
        'rope_theta': _short(get('rope.freq_base', 10000.0)),
        'attention_bias': False,
        'mlp_bias': False,
        'tie_word_embeddings': 'output.weight' not in _shapes(reader),
        'torch_dtype': 'float32',
        **gguf_tokenizer.special_ids(reader),
    }
    families.decoder_config(config)
    return config


def _refuse(reader: gguf.GGUFReader, fields: dict[str, Any]) -> None:
    """Raises ValueError where the model is more, or less, than plain Llama."""
    if fields.get('general.architecture') != 'llama':
        raise ValueError(
            'GGUF file: general.architecture='
            f"{fields.get('general.architecture')!r}, only 'llama' is supported"
        )
    faults = [f'{key} is missing' for key in _REQUIRED if key not in fields]
    if 'token_embd.weight' not in _shapes(reader):
        faults.append('token_embd.weight is missing')
    if not faults:
        heads = fields['llama.attention.head_count']
        width = fields['llama.embedding_length'] // heads
        head_dim = fields.get('llama.attention.key_length', width)
        supported = {
            'split.count': (None, 0, 1),
            'llama.rope.scaling.type': (None, 'none'),
            'llama.rope.scaling.factor': (None, 0.0, 1.0),
            'llama.rope.scale_linear': (None, 1.0),
            'llama.rope.dimension_count': (None, head_dim),
            'llama.attention.value_length': (None, head_dim),
            'llama.attention.sliding_window': (None, 0),
            'llama.expert_count': (None, 0),
        }
        faults = [
            f'{key}={fields.get(key)!r} is not supported, only {values[-1]!r}'
            for key, values in supported.items()
            if fields.get(key) not in values
        ]
    if faults:
        raise ValueError('GGUF file: ' + '; '.join(faults))


def _short(value: float) -> float:
    """A float32 as the shortest decimal that stands for it: 1e-05."""
    return float(str(np.float32(value)))


def _shapes(reader: gguf.GGUFReader) -> dict[str, list[int]]:
    """Shape of every tensor, (out, in); GGUF writes the fastest axis first."""
    return {t.name: [int(n) for n in t.shape[::-1]] for t in reader.tensors}


def _names(reader: gguf.GGUFReader, config: dict[str, Any]) -> dict[str, str]:
    """HF's name of every tensor, all of them known and none missing."""
    names = dict(_OUTER)
    if config['tie_word_embeddings']:
        del names['output.weight']
    for layer in range(config['num_hidden_layers']):
        for name, hf in _LAYER.items():
            names[f'blk.{layer}.{name}'] = f'model.layers.{layer}.{hf}'
    present = set(_shapes(reader))
    faults = [f'{name} is missing' for name in sorted(set(names) - present)]
    faults += [
        f'{name} is not a tensor of a plain Llama'
        for name in sorted(present - set(names))
    ]
    if faults:
        raise ValueError('GGUF file: ' + '; '.join(faults))
    return names


def _write_tensors(
    file: BinaryIO,
    reader: gguf.GGUFReader,
    names: dict[str, str],
    head_dim: int,
) -> None:
    """Writes safetensors as a stream, which its library cannot.

    The format: the header's length (u64), the header in JSON padded to eight
    bytes, then the tensors in the header's order.
    """
    header: dict[str, Any] = {'__metadata__': {'format': 'pt'}}
    offset = 0
    for name, shape in _shapes(reader).items():
        end = offset + 4 * int(np.prod(shape))
        header[names[name]] = {
            'dtype': 'F32',
            'shape': shape,
            'data_offsets': [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    file.write(struct.pack('<Q', len(text)) + text)
    for tensor in tqdm.tqdm(reader.tensors, 'convert GGUF', disable=None):
        for rows in _float_rows(tensor, head_dim):
            file.write(np.ascontiguousarray(rows, '<f4').data)


def _float_rows(
    tensor: gguf.ReaderTensor, head_dim: int
) -> Iterator[np.ndarray]:
    """The tensor in float32 and HF's row order, some whole heads at a time."""
    interleaved = re.search(r'\.attn_[qk]\.weight$', tensor.name)
    step = _HEADS_AT_ONCE * head_dim
    for start in range(0, tensor.data.shape[0], step):
        data = tensor.data[start : start + step]
        try:
            rows = gguf.quants.dequantize(data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ValueError(f'GGUF file: {tensor.name}: {error}') from error
        if interleaved:
            pairs = rows.reshape(-1, head_dim // 2, 2, rows.shape[1])
            rows = pairs.swapaxes(1, 2).reshape(rows.shape)
        yield rows
