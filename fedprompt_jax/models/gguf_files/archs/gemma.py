"""Gemma 1, 2 and 3 (text): llama.cpp stores their norms plus one.

The scale of the queries is not in the file: it is that of a head, but in the
27B models, where it is the width by the number of heads.
"""

from typing import Any

from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.tensors import Tensor, parts, table

ARCHITECTURES = ('gemma', 'gemma2', 'gemma3')

_CLASSES = {
    'gemma': ('gemma', 'GemmaForCausalLM'),
    'gemma2': ('gemma2', 'Gemma2ForCausalLM'),
    'gemma3': ('gemma3_text', 'Gemma3ForCausalLM'),
}
_LAYERS_OF_27B = {'gemma2': 46, 'gemma3': 62}
_PERIOD = {'gemma2': 2, 'gemma3': 6}  # the last layer of each reads everything
_MODULES = {
    'attn_q': 'self_attn.q_proj',
    'attn_k': 'self_attn.k_proj',
    'attn_v': 'self_attn.v_proj',
    'attn_output': 'self_attn.o_proj',
    'ffn_gate': 'mlp.gate_proj',
    'ffn_up': 'mlp.up_proj',
    'ffn_down': 'mlp.down_proj',
}
_GEMMA1_NORMS = {
    'attn_norm': 'input_layernorm',
    'ffn_norm': 'post_attention_layernorm',
}
_SANDWICH_NORMS = {
    'attn_norm': 'input_layernorm',
    'post_attention_norm': 'post_attention_layernorm',
    'ffn_norm': 'pre_feedforward_layernorm',
    'post_ffw_norm': 'post_feedforward_layernorm',
}
_HEAD_NORMS = {
    'attn_q_norm': 'self_attn.q_norm',
    'attn_k_norm': 'self_attn.k_norm',
}
_NORMS = {
    'gemma': _GEMMA1_NORMS,
    'gemma2': _SANDWICH_NORMS,
    'gemma3': _SANDWICH_NORMS | _HEAD_NORMS,
}


def config(file: GGUFFile) -> dict[str, Any]:
    """The config.json of the model."""
    kind, name = _CLASSES[str(file.arch)]
    fields: dict[str, Any] = {
        'architectures': [name],
        'model_type': kind,
        **file.sizes(),
        'hidden_act': 'gelu_pytorch_tanh',
        'hidden_activation': 'gelu_pytorch_tanh',
        'max_position_embeddings': file.size('context_length'),
        'rms_norm_eps': file.real('attention.layer_norm_rms_epsilon'),
        'attention_bias': False,
    }
    if file.arch != 'gemma':
        fields |= _later(file, fields)
    fields |= _rope(file)
    return fields


def tensors(file: GGUFFile, config: dict[str, Any]) -> dict[str, Tensor]:
    """Lists what each tensor of the file becomes."""
    outer = {
        'token_embd.weight': Tensor('model.embed_tokens.weight'),
        'output_norm.weight': Tensor('model.norm.weight', shift=-1.0),
    }
    if not file.tied:
        outer['output.weight'] = Tensor('lm_head.weight')
    norms = _NORMS[str(file.arch)]
    layer = parts('weight', _MODULES) | parts('weight', norms, shift=-1.0)
    layers = config['num_hidden_layers']
    return table(outer, layer, 'model.layers.{}.', layers)


def _later(file: GGUFFile, fields: dict[str, Any]) -> dict[str, Any]:
    """Query scale, caps and windows, which came with Gemma 2."""
    arch, layers = str(file.arch), fields['num_hidden_layers']
    scalar = fields['head_dim']
    if layers == _LAYERS_OF_27B[arch]:
        scalar = fields['hidden_size'] // fields['num_attention_heads']
    caps = [
        file.real(f'{key}_logit_softcapping', 0.0) or None
        for key in ('attn', 'final')
    ]
    window = file.optional_size('attention.sliding_window')
    return {
        'query_pre_attn_scalar': scalar,
        'attn_logit_softcapping': caps[0],
        'final_logit_softcapping': caps[1],
        'sliding_window': window,
        'layer_types': [
            'sliding_attention' if near else 'full_attention'
            for near in _near(file, layers, window)
        ],
    }


def _near(file: GGUFFile, layers: int, window: int | None) -> list[bool]:
    """The layers that have the sliding window."""
    if window is None:
        return [False] * layers
    key = 'attention.sliding_window_pattern'
    if isinstance(file.get(key), list):
        pattern = file.listed(f'{file.arch}.{key}', bool) or []
        if len(pattern) != layers:
            file.faults.append(
                f'{file.arch}.attention.sliding_window_pattern has '
                f'{len(pattern)} entries for {layers} layers'
            )
        return pattern
    period = file.optional_size(key) or _PERIOD[str(file.arch)]
    return [(i + 1) % period != 0 for i in range(layers)]


def _rope(file: GGUFFile) -> dict[str, Any]:
    """Gemma 3's local layers have wavelengths of their own, never scaled."""
    scaling = file.rope_scaling()
    if file.arch != 'gemma3':
        theta = file.real('rope.freq_base', 10000.0, 1.0)
        return {'rope_theta': theta, 'rope_scaling': scaling}
    rope = scaling or {'rope_type': 'default'}
    theta = file.real('rope.freq_base', 1000000.0, 1.0)
    local = file.real('rope.freq_base_swa', 10000.0, 1.0)
    return {
        'rope_parameters': {
            'full_attention': rope | {'rope_theta': theta},
            'sliding_attention': {'rope_type': 'default', 'rope_theta': local},
        }
    }
