"""Llama, Mistral (llama too), Qwen 2 and Qwen 3.

The rows of Llama's query and key projections are interleaved, those of the
others are not. Llama 3.x's rotary scaling is a tensor of factors.
"""

from typing import Any

import numpy as np

from fedprompt_jax.models.gguf_files import rope_factors
from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.tensors import (
    Tensor,
    interleaved,
    parts,
    table,
)

ARCHITECTURES = ('llama', 'qwen2', 'qwen3')

_CLASSES = {
    'llama': 'LlamaForCausalLM',
    'mistral': 'MistralForCausalLM',
    'qwen2': 'Qwen2ForCausalLM',
    'qwen3': 'Qwen3ForCausalLM',
}
_FACTORS = 'rope_freqs.weight'
_MODULES = {
    'attn_norm': 'input_layernorm',
    'attn_q': 'self_attn.q_proj',
    'attn_k': 'self_attn.k_proj',
    'attn_v': 'self_attn.v_proj',
    'attn_output': 'self_attn.o_proj',
    'ffn_norm': 'post_attention_layernorm',
    'ffn_gate': 'mlp.gate_proj',
    'ffn_up': 'mlp.up_proj',
    'ffn_down': 'mlp.down_proj',
}
_HEAD_NORMS = {
    'attn_q_norm': 'self_attn.q_norm',
    'attn_k_norm': 'self_attn.k_norm',
}


def config(file: GGUFFile) -> dict[str, Any]:
    """The config.json of the model."""
    window = file.optional_size('attention.sliding_window')
    if window and file.arch != 'llama':
        file.only('attention.sliding_window', None, 0)
    # A Llama with a window in every layer is what HF calls Mistral.
    kind = 'mistral' if window else str(file.arch)
    theta = file.real('rope.freq_base', 10000.0, 1.0)
    sizes = file.sizes()
    fields = {
        'architectures': [_CLASSES[kind]],
        'model_type': kind,
        **sizes,
        'hidden_act': 'silu',
        'max_position_embeddings': file.size('context_length'),
        'rms_norm_eps': file.real('attention.layer_norm_rms_epsilon'),
        'rope_theta': theta,
        'attention_bias': _has(file, 'attn_q.bias'),
        'mlp_bias': _has(file, 'ffn_up.bias'),
    }
    if window:
        fields['sliding_window'] = window
    scaling = file.rope_scaling() or _llama3(file, theta, sizes['head_dim'])
    if scaling:
        fields['rope_scaling'] = scaling
    return fields


def tensors(file: GGUFFile, config: dict[str, Any]) -> dict[str, Tensor]:
    """Lists what each tensor becomes; biases where the file has any."""
    outer = {
        'token_embd.weight': Tensor('model.embed_tokens.weight'),
        'output_norm.weight': Tensor('model.norm.weight'),
    }
    if not file.tied:
        outer['output.weight'] = Tensor('lm_head.weight')
    if _FACTORS in file.shapes:
        outer[_FACTORS] = Tensor('')
    layer = parts('weight', _MODULES)
    if file.arch == 'qwen3':
        layer |= parts('weight', _HEAD_NORMS)
    biases = parts('bias', _MODULES)
    layer |= {name: t for name, t in biases.items() if _has(file, name)}
    if file.arch == 'llama':
        counts = {
            'attn_q': config['num_attention_heads'],
            'attn_k': config['num_key_value_heads'],
        }
        for name, tensor in layer.items():
            if (heads := counts.get(name.partition('.')[0])) is not None:
                rows = interleaved(heads, config['head_dim'])
                layer[name] = tensor._replace(order=rows)
    layers = config['num_hidden_layers']
    return table(outer, layer, 'model.layers.{}.', layers)


def _has(file: GGUFFile, name: str) -> bool:
    return f'blk.0.{name}' in file.shapes


def _llama3(
    file: GGUFFile, theta: float, head_dim: int
) -> dict[str, Any] | None:
    """The rotary scaling that the file's factors stand for."""
    tensors = [t for t in file.tensors if t.name == _FACTORS]
    if not tensors:
        return None
    factors = tensors[0].floats(tensors[0].data).reshape(-1)
    scaling = None
    if 2 * len(factors) == head_dim and np.isfinite(factors).all():
        scaling = rope_factors.llama3(factors, theta)
    if scaling is None:
        file.faults.append(
            f'{_FACTORS} does not follow the formula of Llama 3 with low '
            'factor 1, high factor 4 and 8192 original positions; use the '
            'checkpoint in safetensors'
        )
    return scaling
