"""OPT, 125M to 66B: learned positions from row 2 on, ReLU.

350M differs: its embedding is narrower than the model, with projections in
and out, and its norms stand after each sum.
"""

from collections.abc import Mapping
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, layer_norm, linear

MODEL_TYPES = ('opt',)

_PREFIX = r'(?:model\.)?(?:decoder\.)?'
_OFFSET = 2  # rows of the position table before that of position 0

NAMES = (
    Name(_PREFIX + r'embed_tokens\.weight', 'embed/embedding'),
    Name(_PREFIX + r'embed_positions\.weight', 'embed_positions/embedding'),
    Name(_PREFIX + r'project_in\.weight', 'project_in/kernel', True),
    Name(_PREFIX + r'project_out\.weight', 'project_out/kernel', True),
    *in_layers(
        _PREFIX + r'layers\.(\d+)\.',
        *linear('self_attn.q_proj', 'attention/query'),
        *linear('self_attn.k_proj', 'attention/key'),
        *linear('self_attn.v_proj', 'attention/value'),
        *linear('self_attn.out_proj', 'attention/output'),
        *layer_norm('self_attn_layer_norm', 'attention_norm'),
        *linear('fc1', 'mlp/up'),
        *linear('fc2', 'mlp/down'),
        *layer_norm('final_layer_norm', 'mlp_norm'),
    ),
    Name(_PREFIX + r'final_layer_norm\.weight', 'final_norm/scale'),
    Name(_PREFIX + r'final_layer_norm\.bias', 'final_norm/bias'),
    Name(r'lm_head\.weight', 'head/kernel', True),
)


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes; ValueError lists faults."""
    hf = HFConfig(fields)
    hf.only('layer_norm_elementwise_affine', True, default=True)
    width = hf.size('hidden_size', 768)
    heads = hf.size('num_attention_heads', 12)
    if width % heads:
        hf.faults.append(
            f'hidden_size={width} must be a multiple of '
            f'num_attention_heads={heads}'
        )
    positions = hf.size('max_position_embeddings', 2048)
    before = bool(hf.get('do_layer_norm_before', True))
    biases = bool(hf.get('enable_bias', True))
    embedding = hf.size('word_embed_proj_dim', width)
    config = ModelConfig(
        vocab_size=hf.size('vocab_size', 50272),
        width=width,
        num_layers=hf.size('num_hidden_layers', 12),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        mlp_width=hf.size('ffn_dim', 3072),
        norm_eps=1e-5,
        tied_embeddings=bool(hf.get('tie_word_embeddings', True)),
        max_positions=positions,
        position_rows=positions + _OFFSET,
        position_offset=_OFFSET,
        embedding_width=0 if embedding == width else embedding,
        norm='layer',
        layout='pre' if before else 'post',
        final_norm=before and not hf.get('_remove_final_layer_norm', False),
        attention_bias=biases,
        output_bias=biases,
        gated=False,
        activation=hf.choice(
            'activation_function', {'relu': 'relu', 'gelu': 'gelu'}, 'relu'
        ),
        mlp_bias=biases,
    )
    hf.raise_faults()
    return config
