"""Gemma 1, 2 and 3 (text): GeGLU, scaled embeddings, norms stored less one.

gemma        norms before attention and MLP, as in Llama
gemma2       norms before and after; scores and logits are capped; every
             other layer has a sliding window
gemma3_text  norms before and after, and of query and key heads; five of
             six layers have a window and shorter rotary wavelengths
"""

from collections.abc import Mapping
from typing import Any

from fedprompt_jax.models.config import ModelConfig, Rotary
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, linear

MODEL_TYPES = ('gemma', 'gemma2', 'gemma3_text')

_ACTIVATIONS = {'gelu_pytorch_tanh': 'gelu_tanh', 'gelu': 'gelu'}
_GEMMA1_ACTIVATIONS = dict.fromkeys(_ACTIVATIONS, 'gelu_tanh')  # says HF
_COMMON = (
    Name(r'(?:model\.)?embed_tokens\.weight', 'embed/embedding'),
    *in_layers(
        r'(?:model\.)?layers\.(\d+)\.',
        ('input_layernorm.weight', 'attention_norm/scale', False),
        *linear('self_attn.q_proj', 'attention/query'),
        *linear('self_attn.k_proj', 'attention/key'),
        *linear('self_attn.v_proj', 'attention/value'),
        *linear('self_attn.o_proj', 'attention/output'),
        ('self_attn.q_norm.weight', 'attention/query_norm/scale', False),
        ('self_attn.k_norm.weight', 'attention/key_norm/scale', False),
        *linear('mlp.gate_proj', 'mlp/gate', bias=False),
        *linear('mlp.up_proj', 'mlp/up', bias=False),
        *linear('mlp.down_proj', 'mlp/down', bias=False),
    ),
    Name(r'(?:model\.)?norm\.weight', 'final_norm/scale'),
    Name(r'lm_head\.weight', 'head/kernel', True),
)
_LAYER = r'(?:model\.)?layers\.(\d+)\.'
_GEMMA1 = in_layers(
    _LAYER, ('post_attention_layernorm.weight', 'mlp_norm/scale', False)
)
_SANDWICH = in_layers(
    _LAYER,
    ('post_attention_layernorm.weight', 'attention_out_norm/scale', False),
    ('pre_feedforward_layernorm.weight', 'mlp_norm/scale', False),
    ('post_feedforward_layernorm.weight', 'mlp_out_norm/scale', False),
)


def names(fields: Mapping[str, Any]) -> tuple[Name, ...]:
    """post_attention_layernorm is another norm in Gemma 1 than later."""
    first = fields['model_type'] == 'gemma'
    return _COMMON + (_GEMMA1 if first else _SANDWICH)


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes; ValueError lists faults."""
    hf = HFConfig(fields)
    kind = hf.get('model_type')
    hf.only('use_bidirectional_attention', None, False)
    first = kind == 'gemma'
    activation = hf.choice(
        'hidden_act' if first else 'hidden_activation',
        _GEMMA1_ACTIVATIONS if first else _ACTIVATIONS,
        'gelu_pytorch_tanh',
    )
    width, layers = hf.size('hidden_size'), hf.size('num_hidden_layers')
    heads = hf.size('num_attention_heads')
    groups, head_dim = hf.heads(width)[1], hf.size('head_dim', 256)
    biases = bool(hf.get('attention_bias', False))
    local = _local_layers(hf, kind, layers)
    rotary, local_rotary = _rotaries(hf, kind, head_dim)
    scalar = hf.get('query_pre_attn_scalar', 256)
    caps = 0.0 if kind != 'gemma2' else 1.0
    longest = 131072 if kind == 'gemma3_text' else 8192
    config = ModelConfig(
        vocab_size=hf.size('vocab_size'),
        width=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=groups,
        head_dim=head_dim,
        mlp_width=hf.size('intermediate_size'),
        norm_eps=hf.real('rms_norm_eps', 1e-6),
        tied_embeddings=bool(hf.get('tie_word_embeddings', True)),
        max_positions=hf.size('max_position_embeddings', longest),
        rotary=rotary,
        local_rotary=local_rotary,
        embedding_scale=width**0.5,
        norm='rms_plus_one',
        layout='pre' if kind == 'gemma' else 'sandwich',
        attention_bias=biases,
        output_bias=biases,
        head_norm=kind == 'gemma3_text',
        query_scale=0.0 if kind == 'gemma' else float(scalar) ** -0.5,
        score_cap=_cap(hf, 'attn_logit_softcapping', 50.0 * caps),
        logit_cap=_cap(hf, 'final_logit_softcapping', 30.0 * caps),
        window=hf.size('sliding_window', 4096) if any(local) else 0,
        local_layers=local,
        activation=activation,
    )
    hf.raise_faults()
    return config


def _cap(hf: HFConfig, key: str, default: float) -> float:
    """A cap; null switches it off, absence is HF's default."""
    return float(hf.fields.get(key, default) or 0.0)


def _local_layers(hf: HFConfig, kind: str, layers: int) -> tuple[bool, ...]:
    if kind == 'gemma':
        return ()
    if hf.get('layer_types'):
        return hf.local_layers(layers)
    default = 2 if kind == 'gemma2' else 6
    every = hf.get('sliding_window_pattern', default)
    return tuple((i + 1) % every != 0 for i in range(layers))


def _rotaries(
    hf: HFConfig, kind: str, head_dim: int
) -> tuple[Rotary, Rotary | None]:
    """Rotary embeddings of global layers, and of local ones if they differ."""
    if kind != 'gemma3_text':
        return hf.rotary(head_dim), None
    rope = hf.get('rope_parameters') or {}
    whole = rope.get('full_attention') or hf.get('rope_scaling') or {}
    near = rope.get('sliding_attention') or {}
    theta = whole.get('rope_theta', hf.get('rope_theta', 1e6))
    local = near.get('rope_theta', hf.get('rope_local_base_freq', 1e4))
    return (
        hf.rotary_of('rope_parameters', whole, theta, head_dim),
        hf.rotary_of('rope_parameters', near, local, head_dim),
    )
