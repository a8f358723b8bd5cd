"""Llama and its nearest relatives: Mistral, Qwen 2, 2.5 and 3.

llama      SmolLM2, OpenLLaMA, TinyLlama, Llama 2, Llama 3.x (its rotary
           scaling), with biases where config.json says so
mistral    a sliding window in every layer
qwen2      biases of query, key and value; Qwen 2.5 too
qwen3      RMS norms of query and key heads
"""

from collections.abc import Mapping
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers, linear

MODEL_TYPES = ('llama', 'mistral', 'qwen2', 'qwen3')

_WINDOW = 4096  # HF's default

# The prefix 'model.' is absent where the headless model was saved.
NAMES = (
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
        ('post_attention_layernorm.weight', 'mlp_norm/scale', False),
        *linear('mlp.gate_proj', 'mlp/gate'),
        *linear('mlp.up_proj', 'mlp/up'),
        *linear('mlp.down_proj', 'mlp/down'),
        ('self_attn.rotary_emb.inv_freq', '', False),
    ),
    Name(r'(?:model\.)?rotary_emb\.inv_freq', ''),
    Name(r'(?:model\.)?norm\.weight', 'final_norm/scale'),
    Name(r'lm_head\.weight', 'head/kernel', True),
)


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """The model that a config.json describes, with HF's defaults.

    Raises ValueError, listing every fault, where the model would compute
    something that the blocks do not.
    """
    hf = HFConfig(fields)
    kind = hf.get('model_type')
    hf.only('hidden_act', 'silu', default='silu')
    width, layers = hf.size('hidden_size'), hf.size('num_hidden_layers')
    heads, groups, head_dim = hf.heads(width)
    local, window = _window(hf, kind, layers)
    defaults = {'mistral': 131072, 'qwen2': 32768, 'qwen3': 32768}
    config = ModelConfig(
        vocab_size=hf.size('vocab_size'),
        width=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=groups,
        head_dim=head_dim,
        mlp_width=hf.size('intermediate_size'),
        norm_eps=hf.real('rms_norm_eps', 1e-6),
        tied_embeddings=bool(hf.get('tie_word_embeddings', False)),
        max_positions=hf.size(
            'max_position_embeddings', defaults.get(kind, 2048)
        ),
        rotary=hf.rotary(head_dim),
        attention_bias=_biases(hf, kind),
        output_bias=kind != 'qwen2' and _biases(hf, kind),
        mlp_bias=kind == 'llama' and bool(hf.get('mlp_bias', False)),
        head_norm=kind == 'qwen3',
        window=window,
        local_layers=local,
    )
    hf.raise_faults()
    return config


def _biases(hf: HFConfig, kind: str) -> bool:
    return kind == 'qwen2' or bool(hf.get('attention_bias', False))


def _window(
    hf: HFConfig, kind: str, num_layers: int
) -> tuple[tuple[bool, ...], int]:
    """The layers that have a sliding window, and its size; ((), 0) for none."""
    uses = kind == 'mistral' or (
        kind != 'llama' and hf.get('use_sliding_window', False)
    )
    # Where the file is silent, HF has a window; null switches it off.
    if not uses or hf.fields.get('sliding_window', _WINDOW) is None:
        if 'sliding_attention' in (hf.get('layer_types') or ()):
            hf.faults.append(
                'layer_types has sliding_attention, but there is no '
                'sliding_window in use'
            )
        if kind == 'llama':
            hf.only('sliding_window', None)
        return (), 0
    if hf.get('layer_types'):
        local = hf.local_layers(num_layers)
    elif kind == 'mistral':
        local = (True,) * num_layers
    else:  # the first max_window_layers read everything
        first = hf.get('max_window_layers', 28)
        local = tuple(i >= first for i in range(num_layers))
    window = hf.size('sliding_window', _WINDOW)
    return (local, window) if any(local) else ((), 0)
