"""GPT-2, small to XL: learned positions, LayerNorm, one kernel for Q, K, V.

Its kernels are torch Conv1D's: (in, out) already.
"""

from collections.abc import Mapping
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, layer_norm

MODEL_TYPES = ('gpt2',)

_ACTIVATIONS = {
    'gelu_new': 'gelu_tanh',
    'gelu_pytorch_tanh': 'gelu_tanh',
    'gelu': 'gelu',
    'relu': 'relu',
    'silu': 'silu',
}


def _conv1d(rest: str, leaf: str) -> list[tuple[str, str, bool]]:
    return [
        (f'{rest}.weight', f'{leaf}/kernel', False),
        (f'{rest}.bias', f'{leaf}/bias', False),
    ]


NAMES = (
    Name(r'(?:transformer\.)?wte\.weight', 'embed/embedding'),
    Name(r'(?:transformer\.)?wpe\.weight', 'embed_positions/embedding'),
    *in_layers(
        r'(?:transformer\.)?h\.(\d+)\.',
        *layer_norm('ln_1', 'attention_norm'),
        *_conv1d('attn.c_attn', 'attention/qkv'),
        *_conv1d('attn.c_proj', 'attention/output'),
        *layer_norm('ln_2', 'mlp_norm'),
        *_conv1d('mlp.c_fc', 'mlp/up'),
        *_conv1d('mlp.c_proj', 'mlp/down'),
        ('attn.bias', '', False),  # the causal mask
        ('attn.masked_bias', '', False),
    ),
    Name(r'(?:transformer\.)?ln_f\.weight', 'final_norm/scale'),
    Name(r'(?:transformer\.)?ln_f\.bias', 'final_norm/bias'),
    Name(r'lm_head\.weight', 'head/kernel', True),
)


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes; ValueError lists faults."""
    hf = HFConfig(fields)
    hf.only('scale_attn_weights', True, default=True)
    hf.only('scale_attn_by_inverse_layer_idx', False, default=False)
    hf.only('add_cross_attention', False, default=False)
    width, heads = hf.size('n_embd', 768), hf.size('n_head', 12)
    if width % heads:
        hf.faults.append(f'n_embd={width} must be a multiple of n_head={heads}')
    positions = hf.size('n_positions', 1024)
    config = ModelConfig(
        vocab_size=hf.size('vocab_size', 50257),
        width=width,
        num_layers=hf.size('n_layer', 12),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        mlp_width=hf.size('n_inner', 4 * width),
        norm_eps=hf.real('layer_norm_epsilon', 1e-5),
        tied_embeddings=bool(hf.get('tie_word_embeddings', True)),
        max_positions=positions,
        position_rows=positions,
        norm='layer',
        fused='parts',
        attention_bias=True,
        output_bias=True,
        gated=False,
        activation=hf.choice('activation_function', _ACTIVATIONS, 'gelu_new'),
        mlp_bias=True,
    )
    hf.raise_faults()
    return config
