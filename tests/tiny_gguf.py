"""Tiny GGUF files of every architecture, written as llama.cpp writes them.

Tensors get their names from the gguf package's own map, and are changed as
llama.cpp's conversion/*.py change them; written out plainly, one head at a
time, to be checked by eye.
"""

from collections.abc import Callable
import itertools
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors import numpy as safetensors

from tests import tiny, tiny_families

USER_DEFINED = -1000.0  # the score that llama.cpp gives such a token

_NO_CHANGE: Callable[[gguf.GGUFWriter], Any] = lambda writer: None

# What a GGUF file cannot say is as llama.cpp takes it to be.
_CHANGES: dict[str, dict[str, Any]] = {
    'llama_biased': {},
    'llama_linear': {},
    'llama_31': {
        'rope_parameters': tiny_families.CONFIGS['llama_31']['rope_parameters']
        | {'original_max_position_embeddings': 8192}
    },
    'mistral': {},
    'qwen2': {},
    'qwen3': {'use_sliding_window': False},
    'gpt2': {},
    'gemma': {},
    'gemma2': {'query_pre_attn_scalar': 16},
    'gemma3': {'query_pre_attn_scalar': 16},
    'pythia': {},
    'neox_serial': {},
}
NAMES = tuple(_CHANGES)
_ARCHS = {
    'mistral': 'llama',
    'gemma3_text': 'gemma3',
    'gpt_neox': 'gptneox',
}


def make_checkpoint(folder: Path, name: str, **changes: Any) -> Path:
    """A HF folder of a family's variant that a GGUF file can stand for."""
    tiny_families.make_checkpoint(folder, name)
    config = tiny.read_json(folder / 'config.json')
    config |= _CHANGES[name] | changes
    tiny.write_json(folder / 'config.json', config)
    tiny.save_tensors(folder, tiny_families.random_tensors(config))
    return folder


def write(
    path: Path,
    folder: Path,
    quantise: gguf.GGMLQuantizationType | None = None,
    change: Callable[[gguf.GGUFWriter], Any] = _NO_CHANGE,
    pre: str = 'smollm',
    pieces: dict[str, float] | None = None,
    metadata: dict[str, Any] | None = None,
) -> Path:
    """The HF folder as a GGUF file.

    Args:
      path: of the file.
      folder: with model.safetensors and the tokenizer of tests/tiny.py.
      quantise: type of the linear weights; None for float32.
      change: is called with the writer before the tokenizer is written.
      pre: name of the byte-level pre-tokenizer.
      pieces: of `sentencepiece`, in place of the byte-level tokenizer.
      metadata: replaces what is written otherwise; None removes a key.
    """
    hf = tiny.read_json(folder / 'config.json')
    arch = _ARCHS.get(hf['model_type'], hf['model_type'])
    writer = gguf.GGUFWriter(path, arch)
    layers = _write_settings(writer, hf)
    change(writer)
    if pieces is None:
        _write_byte_level(writer, pre)
    else:
        _write_pieces(writer, pieces)
    for key, value in (metadata or {}).items():
        writer.kv_data[0].pop(key, None)
        if value is not None:
            writer.add_key_value(key, value, _value_type(value))
    names = gguf.get_tensor_name_map(_arch_enum(arch), layers)
    tensors = safetensors.load_file(folder / 'model.safetensors')
    for hf_name, tensor in tensors.items():
        name = names.get_name(hf_name, ('.weight', '.bias'))
        tensor = np.ascontiguousarray(_as_llama_cpp(hf_name, tensor, hf))
        if quantise and tensor.ndim == 2:
            data = gguf.quants.quantize(tensor, quantise)
            writer.add_tensor(name, data, raw_dtype=quantise)
        else:
            writer.add_tensor(name, tensor)
    if (factors := _rope_factors(hf)) is not None:
        writer.add_tensor('rope_freqs.weight', factors)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _arch_enum(arch: str) -> gguf.MODEL_ARCH:
    return next(e for e, name in gguf.MODEL_ARCH_NAMES.items() if name == arch)


def _write_settings(writer: gguf.GGUFWriter, hf: dict[str, Any]) -> int:
    """All but the tokenizer; returns the number of layers."""
    if hf['model_type'] == 'gpt2':
        writer.add_block_count(hf['n_layer'])
        writer.add_context_length(hf['n_positions'])
        writer.add_embedding_length(hf['n_embd'])
        writer.add_feed_forward_length(hf.get('n_inner', 4 * hf['n_embd']))
        writer.add_head_count(hf['n_head'])
        writer.add_layer_norm_eps(hf.get('layer_norm_epsilon', 1e-5))
        return hf['n_layer']
    heads = hf['num_attention_heads']
    head_dim = hf.get('head_dim', hf['hidden_size'] // heads)
    writer.add_block_count(hf['num_hidden_layers'])
    writer.add_context_length(hf['max_position_embeddings'])
    writer.add_embedding_length(hf['hidden_size'])
    writer.add_feed_forward_length(hf['intermediate_size'])
    writer.add_head_count(heads)
    if hf['model_type'] == 'gpt_neox':
        writer.add_rope_dimension_count(int(hf['rotary_pct'] * head_dim))
        writer.add_rope_freq_base(hf['rotary_emb_base'])
        writer.add_parallel_residual(hf['use_parallel_residual'])
        writer.add_layer_norm_eps(hf.get('layer_norm_eps', 1e-5))
        return hf['num_hidden_layers']
    writer.add_head_count_kv(hf['num_key_value_heads'])
    writer.add_layer_norm_rms_eps(hf['rms_norm_eps'])
    if 'head_dim' in hf:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if hf['model_type'] in ('llama', 'mistral'):
        writer.add_rope_dimension_count(head_dim)
    _write_rope(writer, hf)
    if hf['model_type'] in ('mistral', 'gemma2', 'gemma3_text'):
        writer.add_sliding_window(hf['sliding_window'])
    if hf['model_type'] == 'gemma2':
        writer.add_attn_logit_softcapping(hf['attn_logit_softcapping'])
        writer.add_final_logit_softcapping(hf['final_logit_softcapping'])
    return hf['num_hidden_layers']


def _write_rope(writer: gguf.GGUFWriter, hf: dict[str, Any]) -> None:
    rope = hf.get('rope_parameters') or hf.get('rope_scaling') or {}
    if 'sliding_attention' in rope:
        writer.add_rope_freq_base_swa(rope['sliding_attention']['rope_theta'])
        rope = rope['full_attention']
        near = [kind == 'sliding_attention' for kind in hf['layer_types']]
        writer.add_sliding_window_pattern(near)
    writer.add_rope_freq_base(rope.get('rope_theta', hf.get('rope_theta', 1e4)))
    if rope.get('type', rope.get('rope_type')) == 'linear':
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope['factor'])


def _rope_factors(hf: dict[str, Any]) -> np.ndarray | None:
    """Llama 3's, as its inventors wrote them down."""
    rope = hf.get('rope_parameters') or {}
    if rope.get('rope_type') != 'llama3':
        return None
    head_dim = hf['hidden_size'] // hf['num_attention_heads']
    factors = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * np.pi * rope['rope_theta'] ** (i / head_dim)
        turns = 8192 / wavelength
        if turns > 4:
            factors.append(1.0)
        elif turns < 1:
            factors.append(rope['factor'])
        else:
            smooth = (turns - 1) / (4 - 1)
            factors.append(1 / ((1 - smooth) / rope['factor'] + smooth))
    return np.array(factors, np.float32)


def _as_llama_cpp(name: str, x: np.ndarray, hf: dict[str, Any]) -> np.ndarray:
    kind = hf['model_type']
    if kind in ('llama', 'mistral'):
        if 'q_proj' in name:
            return _interleave(x, hf['num_attention_heads'])
        if 'k_proj' in name:
            return _interleave(x, hf['num_key_value_heads'])
    if kind.startswith('gemma') and name.endswith('norm.weight'):
        return x + np.float32(1)
    if kind == 'gpt2' and '.c_' in name and name.endswith('.weight'):
        return x.T
    if kind == 'gpt_neox' and 'query_key_value' in name:
        return _parts_first(x, hf['num_attention_heads'])
    return x


def _interleave(x: np.ndarray, heads: int) -> np.ndarray:
    """A head's two halves in turns."""
    out = np.empty_like(x)
    size = len(x) // heads
    for head in range(heads):
        rows = x[head * size : (head + 1) * size]
        out[head * size : (head + 1) * size : 2] = rows[: size // 2]
        out[head * size + 1 : (head + 1) * size : 2] = rows[size // 2 :]
    return out


def _parts_first(x: np.ndarray, heads: int) -> np.ndarray:
    """The queries of all heads, then the keys, then the values."""
    size = len(x) // heads // 3
    order = []
    for part in range(3):
        for head in range(heads):
            start = (3 * head + part) * size
            order.append(x[start : start + size])
    return np.concatenate(order)


def _value_type(value: Any) -> gguf.GGUFValueType:
    """As llama.cpp stores it: ids are unsigned."""
    if type(value) is int and value >= 0:
        kinds = gguf.GGUFValueType
        return kinds.UINT32 if value < 1 << 32 else kinds.UINT64
    return gguf.GGUFValueType.get_type(value)


def _write_byte_level(writer: gguf.GGUFWriter, pre: str) -> None:
    content = tiny.train_tokenizer()
    vocab = sorted(content.get_vocab().items(), key=lambda item: item[1])
    special = content.get_added_tokens_decoder()
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_tokenizer_model('gpt2')
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([word for word, _ in vocab])
    types = [control if i in special else normal for _, i in vocab]
    writer.add_token_types(types)
    merges = tiny.json.loads(content.to_str())['model']['merges']
    writer.add_token_merges([' '.join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(3)


def _write_pieces(writer: gguf.GGUFWriter, pieces: dict[str, float]) -> None:
    types = [_type(i, x) for i, x in enumerate(pieces.values())]
    writer.add_tokenizer_model('llama')
    writer.add_tokenizer_pre('default')
    writer.add_token_list(list(pieces))
    writer.add_token_scores(list(pieces.values()))
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _type(i: int, score: float) -> gguf.TokenType:
    kinds = gguf.TokenType
    if i < 3:
        return kinds.CONTROL if i else kinds.UNKNOWN
    if score == USER_DEFINED:
        return kinds.USER_DEFINED
    return kinds.BYTE if i < 259 else kinds.NORMAL


def sentencepiece(text: str, size: int = tiny.VOCAB_SIZE) -> dict[str, float]:
    """Pieces of a SentencePiece model by id, and their scores.

    Its trainer joins the most frequent pair of pieces and gives it the next
    lower score; single characters come last.
    """
    pieces = {'<unk>': 0.0, '<s>': 0.0, '</s>': 0.0}
    pieces |= {f'<0x{i:02X}>': 0.0 for i in range(256)}
    words = [list('▁' + word) for word in text.split()]
    alphabet = sorted({c for word in words for c in word})
    score = 0.0
    while len(pieces) + len(alphabet) < size:
        pairs: dict[tuple[str, str], int] = {}
        for word in words:
            for pair in itertools.pairwise(word):
                pairs[pair] = pairs.get(pair, 0) + 1
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        score -= 1.0
        pieces[''.join(best)] = score
        words = [_joined(word, best) for word in words]
    for char in alphabet:
        score -= 1.0
        pieces[char] = score
    return pieces


def _joined(word: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out
