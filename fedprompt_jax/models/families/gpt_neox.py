"""GPT-NeoX and Pythia: attention and MLP in parallel, part of a head turns."""

from collections.abc import Mapping
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, layer_norm, linear

MODEL_TYPES = ('gpt_neox',)

NAMES = (
    Name(r'(?:gpt_neox\.)?embed_in\.weight', 'embed/embedding'),
    *in_layers(
        r'(?:gpt_neox\.)?layers\.(\d+)\.',
        *layer_norm('input_layernorm', 'attention_norm'),
        *layer_norm('post_attention_layernorm', 'mlp_norm'),
        *linear('attention.query_key_value', 'attention/qkv'),
        *linear('attention.dense', 'attention/output'),
        *linear('mlp.dense_h_to_4h', 'mlp/up'),
        *linear('mlp.dense_4h_to_h', 'mlp/down'),
        ('attention.bias', '', False),  # the causal mask
        ('attention.masked_bias', '', False),
        ('attention.rotary_emb.inv_freq', '', False),
    ),
    Name(r'(?:gpt_neox\.)?final_layer_norm\.weight', 'final_norm/scale'),
    Name(r'(?:gpt_neox\.)?final_layer_norm\.bias', 'final_norm/bias'),
    Name(r'embed_out\.weight', 'head/kernel', True),
)


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes; ValueError lists faults."""
    hf = HFConfig(fields)
    activations = {'gelu': 'gelu', 'relu': 'relu', 'silu': 'silu'}
    activations |= dict.fromkeys(('gelu_new', 'gelu_pytorch_tanh'), 'gelu_tanh')
    width = hf.size('hidden_size')
    heads, groups, head_dim = hf.heads(width)
    if groups != heads:
        hf.faults.append('num_key_value_heads must be num_attention_heads')
    biases = bool(hf.get('attention_bias', True))
    parallel = bool(hf.get('use_parallel_residual', True))
    theta = hf.get('rotary_emb_base', hf.get('rope_theta', 10000.0))
    rope = dict(hf.get('rope_parameters') or hf.get('rope_scaling') or {})
    config = ModelConfig(
        vocab_size=hf.size('vocab_size'),
        width=width,
        num_layers=hf.size('num_hidden_layers'),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=head_dim,
        mlp_width=hf.size('intermediate_size'),
        norm_eps=hf.real('layer_norm_eps', 1e-5),
        tied_embeddings=bool(hf.get('tie_word_embeddings', False)),
        max_positions=hf.size('max_position_embeddings', 2048),
        rotary=hf.rotary_of(
            'rope_parameters',
            rope,
            rope.get('rope_theta', theta),
            head_dim,
            hf.get('rotary_pct', hf.get('partial_rotary_factor', 0.25)),
        ),
        norm='layer',
        layout='parallel' if parallel else 'pre',
        fused='heads',
        attention_bias=biases,
        output_bias=biases,
        gated=False,
        activation=hf.choice('hidden_act', activations, 'gelu'),
        mlp_bias=True,
    )
    hf.raise_faults()
    return config
