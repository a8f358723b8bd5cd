"""StarCoder 2: rotary embeddings and grouped heads with LayerNorm and GELU."""

from collections.abc import Mapping
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, layer_norm, linear

MODEL_TYPES = ('starcoder2',)

NAMES = (
    Name(r'(?:model\.)?embed_tokens\.weight', 'embed/embedding'),
    *in_layers(
        r'(?:model\.)?layers\.(\d+)\.',
        *layer_norm('input_layernorm', 'attention_norm'),
        *linear('self_attn.q_proj', 'attention/query'),
        *linear('self_attn.k_proj', 'attention/key'),
        *linear('self_attn.v_proj', 'attention/value'),
        *linear('self_attn.o_proj', 'attention/output'),
        *layer_norm('post_attention_layernorm', 'mlp_norm'),
        *linear('mlp.c_fc', 'mlp/up'),
        *linear('mlp.c_proj', 'mlp/down'),
    ),
    Name(r'(?:model\.)?norm\.weight', 'final_norm/scale'),
    Name(r'(?:model\.)?norm\.bias', 'final_norm/bias'),
    Name(r'lm_head\.weight', 'head/kernel', True),
)


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes; ValueError lists faults."""
    hf = HFConfig(fields)
    hf.only('hidden_act', 'gelu_pytorch_tanh', default='gelu_pytorch_tanh')
    width, layers = hf.size('hidden_size'), hf.size('num_hidden_layers')
    heads, groups, head_dim = hf.heads(width)
    biases = bool(hf.get('use_bias', True))
    window = hf.get('sliding_window', 0)
    config = ModelConfig(
        vocab_size=hf.size('vocab_size'),
        width=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=groups,
        head_dim=head_dim,
        mlp_width=hf.size('intermediate_size'),
        norm_eps=hf.real('norm_epsilon', 1e-5),
        tied_embeddings=bool(hf.get('tie_word_embeddings', True)),
        max_positions=hf.size('max_position_embeddings', 4096),
        rotary=hf.rotary(head_dim),
        norm='layer',
        attention_bias=biases,
        output_bias=biases,
        window=window,
        local_layers=(True,) * layers if window else (),
        gated=False,
        activation='gelu_tanh',
        mlp_bias=biases,
    )
    hf.raise_faults()
    return config
