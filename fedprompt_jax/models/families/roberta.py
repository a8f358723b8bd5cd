"""RoBERTa with its masked-LM head: an encoder, norms after each sum.

Positions begin in the row behind that of the padding token; all tokens are
of the first type.
"""

from collections.abc import Mapping
import re
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, layer_norm, linear

MODEL_TYPES = ('roberta', 'xlm-roberta')

_PREFIX = r'(?:roberta\.)?'
_ACTIVATIONS = {
    'gelu': 'gelu',
    'gelu_new': 'gelu_tanh',
    'gelu_pytorch_tanh': 'gelu_tanh',
    'relu': 'relu',
    'silu': 'silu',
}

_COMMON = (
    Name(_PREFIX + r'embeddings\.word_embeddings\.weight', 'embed/embedding'),
    Name(
        _PREFIX + r'embeddings\.position_embeddings\.weight',
        'embed_positions/embedding',
    ),
    Name(
        _PREFIX + r'embeddings\.token_type_embeddings\.weight',
        'embed_types/embedding',
    ),
    Name(_PREFIX + r'embeddings\.LayerNorm\.weight', 'embedding_norm/scale'),
    Name(_PREFIX + r'embeddings\.LayerNorm\.bias', 'embedding_norm/bias'),
    Name(_PREFIX + r'embeddings\.position_ids', ''),
    *in_layers(
        _PREFIX + r'encoder\.layer\.(\d+)\.',
        *linear('attention.self.query', 'attention/query'),
        *linear('attention.self.key', 'attention/key'),
        *linear('attention.self.value', 'attention/value'),
        *linear('attention.output.dense', 'attention/output'),
        *layer_norm('attention.output.LayerNorm', 'attention_norm'),
        *linear('intermediate.dense', 'mlp/up'),
        *linear('output.dense', 'mlp/down'),
        *layer_norm('output.LayerNorm', 'mlp_norm'),
    ),
    Name(r'lm_head\.dense\.weight', 'head_dense/kernel', True),
    Name(r'lm_head\.dense\.bias', 'head_dense/bias'),
    Name(r'lm_head\.layer_norm\.weight', 'head_norm/scale'),
    Name(r'lm_head\.layer_norm\.bias', 'head_norm/bias'),
    Name(r'lm_head\.decoder\.weight', 'head/kernel', True),
    Name(_PREFIX + r'pooler\.dense\.(?:weight|bias)', ''),  # of other heads
)


def names(fields: Mapping[str, Any]) -> tuple[Name, ...]:
    """The head's bias is that of its kernel; a tied head's is its own."""
    tied = fields.get('tie_word_embeddings', True)
    used, other = ('bias', 'decoder.bias') if tied else ('decoder.bias', 'bias')
    return (
        *_COMMON,
        Name(rf'lm_head\.{re.escape(used)}', 'head_bias'),
        Name(
            rf'lm_head\.{re.escape(other)}',
            '',
            copy_of='head_bias' if tied else '',
        ),
    )


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes; ValueError lists faults."""
    hf = HFConfig(fields)
    hf.only('position_embedding_type', 'absolute', default='absolute')
    hf.only('is_decoder', False, default=False)
    hf.only('add_cross_attention', False, default=False)
    width, heads = hf.size('hidden_size', 768), hf.size('num_attention_heads')
    if width % heads:
        hf.faults.append(
            f'hidden_size={width} must be a multiple of '
            f'num_attention_heads={heads}'
        )
    rows = hf.size('max_position_embeddings', 512)
    offset = hf.get('pad_token_id', 1) + 1
    config = ModelConfig(
        vocab_size=hf.size('vocab_size', 50265),
        width=width,
        num_layers=hf.size('num_hidden_layers', 12),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=width // heads,
        mlp_width=hf.size('intermediate_size', 3072),
        norm_eps=hf.real('layer_norm_eps', 1e-12),
        tied_embeddings=bool(hf.get('tie_word_embeddings', True)),
        max_positions=rows - offset,
        position_rows=rows,
        position_offset=offset,
        norm='layer',
        layout='post',
        final_norm=False,
        attention_bias=True,
        output_bias=True,
        gated=False,
        activation=hf.choice('hidden_act', _ACTIVATIONS, 'gelu'),
        mlp_bias=True,
        causal=False,
        token_types=hf.size('type_vocab_size', 2),
        embedding_norm=True,
        head_transform=True,
        head_bias=True,
    )
    hf.raise_faults()
    return config
