"""Tiny random checkpoints of every family and variant, made with numpy.

The config.json of each is what transformers writes; tensors are named by the
families' own rules, and tests/parity asks PyTorch whether it knows them all.
"""

from pathlib import Path
from typing import Any

import numpy as np

from fedprompt_jax.models import families, sizes
from tests import extensions, tiny

extensions.install()  # it has a family of its own

WIDTH, LAYERS, HEADS, HEAD_DIM, MLP, POSITIONS = 32, 3, 4, 8, 48, 96
WINDOW = 6  # short enough to bite
MASK = '<|endoftext|>'  # of the tokenizer's tokens, that of masked models

_LLAMA = {
    'hidden_size': WIDTH,
    'intermediate_size': MLP,
    'num_hidden_layers': LAYERS,
    'num_attention_heads': HEADS,
    'num_key_value_heads': 2,
    'hidden_act': 'silu',
    'max_position_embeddings': POSITIONS,
    'rms_norm_eps': 1e-5,
    'tie_word_embeddings': False,
}
_GEMMA = _LLAMA | {
    'head_dim': 16,  # heads * head_dim is not the width
    'hidden_act': 'gelu_pytorch_tanh',
    'hidden_activation': 'gelu_pytorch_tanh',
    'tie_word_embeddings': True,
}
_OPT = {
    'hidden_size': WIDTH,
    'ffn_dim': MLP,
    'num_hidden_layers': LAYERS,
    'num_attention_heads': HEADS,
    'max_position_embeddings': POSITIONS,
    'word_embed_proj_dim': WIDTH,
    'do_layer_norm_before': True,
    'activation_function': 'relu',
    'tie_word_embeddings': True,
}
_NEOX = {
    'hidden_size': WIDTH,
    'intermediate_size': MLP,
    'num_hidden_layers': LAYERS,
    'num_attention_heads': HEADS,
    'hidden_act': 'gelu',
    'max_position_embeddings': POSITIONS,
    'rotary_pct': 0.5,
    'rotary_emb_base': 5000,
    'use_parallel_residual': True,
    'tie_word_embeddings': False,
}
_T5 = {
    'model_type': 't5',
    'd_model': WIDTH,
    'd_kv': HEAD_DIM,
    'd_ff': MLP,
    'num_heads': HEADS,
    'relative_attention_num_buckets': 8,
    'relative_attention_max_distance': 20,  # short enough to bite
    'is_encoder_decoder': True,
}
_LOCAL, _GLOBAL = 'sliding_attention', 'full_attention'

CONFIGS: dict[str, dict[str, Any]] = {
    'llama_biased': _LLAMA
    | {'model_type': 'llama', 'attention_bias': True, 'mlp_bias': True},
    'llama_linear': _LLAMA
    | {
        'model_type': 'llama',
        'rope_scaling': {'type': 'linear', 'factor': 2.0},
    },
    'llama_31': _LLAMA
    | {
        'model_type': 'llama',
        'rope_parameters': {
            'rope_type': 'llama3',
            'rope_theta': 500000.0,
            'factor': 8.0,
            'low_freq_factor': 1.0,
            'high_freq_factor': 4.0,
            'original_max_position_embeddings': 32,
        },
    },
    'mistral': _LLAMA | {'model_type': 'mistral', 'sliding_window': WINDOW},
    'qwen2': _LLAMA | {'model_type': 'qwen2', 'tie_word_embeddings': True},
    'qwen3': _LLAMA
    | {
        'model_type': 'qwen3',
        'head_dim': 16,
        'use_sliding_window': True,
        'sliding_window': WINDOW,
        'max_window_layers': 1,
    },
    'gpt2': {
        'model_type': 'gpt2',
        'n_embd': WIDTH,
        'n_layer': LAYERS,
        'n_head': HEADS,
        'n_inner': MLP,
        'n_positions': POSITIONS,
        'activation_function': 'gelu_new',
    },
    'opt': _OPT | {'model_type': 'opt'},
    'opt_350m': _OPT
    | {
        'model_type': 'opt',
        'word_embed_proj_dim': 16,
        'do_layer_norm_before': False,
    },
    'gemma': _GEMMA | {'model_type': 'gemma', 'num_key_value_heads': 1},
    'gemma2': _GEMMA
    | {
        'model_type': 'gemma2',
        'query_pre_attn_scalar': 24,
        'attn_logit_softcapping': 2.0,
        'final_logit_softcapping': 5.0,
        'sliding_window': WINDOW,
        'layer_types': [_LOCAL, _GLOBAL, _LOCAL],
    },
    'gemma3': _GEMMA
    | {
        'model_type': 'gemma3_text',
        'query_pre_attn_scalar': 24,
        'sliding_window': WINDOW,
        'layer_types': [_LOCAL, _LOCAL, _GLOBAL],
        'rope_parameters': {
            _GLOBAL: {
                'rope_type': 'linear',
                'factor': 4.0,
                'rope_theta': 100000.0,
            },
            _LOCAL: {'rope_type': 'default', 'rope_theta': 1000.0},
        },
    },
    'pythia': _NEOX | {'model_type': 'gpt_neox'},
    'neox_serial': _NEOX
    | {
        'model_type': 'gpt_neox',
        'use_parallel_residual': False,
        'attention_bias': False,
    },
    'roberta': {
        'model_type': 'roberta',
        'hidden_size': WIDTH,
        'intermediate_size': MLP,
        'num_hidden_layers': LAYERS,
        'num_attention_heads': HEADS,
        'hidden_act': 'relu',  # not that of its head
        'max_position_embeddings': POSITIONS,
        'type_vocab_size': 1,
        'layer_norm_eps': 1e-5,
    },
    'starcoder2': _LLAMA
    | {
        'model_type': 'starcoder2',
        'hidden_act': 'gelu_pytorch_tanh',
        'norm_epsilon': 1e-5,
        'sliding_window': WINDOW,
        'tie_word_embeddings': True,
    },
    't5': _T5 | {'num_layers': LAYERS, 'feed_forward_proj': 'relu'},
    't5_v1_1': _T5
    | {
        'num_layers': LAYERS,
        'num_decoder_layers': 2,
        'feed_forward_proj': 'gated-gelu',
        'tie_word_embeddings': False,
    },
}


def make_checkpoint(folder: Path, name: str, shards: int = 1) -> Path:
    """A complete HF folder of CONFIGS[name]; the same bytes every time."""
    tiny.make_checkpoint(folder)  # its tokenizer and special ids
    kept = ('bos_token_id', 'eos_token_id', 'pad_token_id', 'vocab_size')
    ids = tiny.read_json(folder / 'config.json')
    config = CONFIGS[name] | {key: ids[key] for key in kept}
    if config['model_type'] == 't5':
        start = {'decoder_start_token_id': config['pad_token_id']}
        config |= start
        tiny.edit_json(folder / 'generation_config.json', **start)
    config['torch_dtype'] = 'float32'
    tiny.write_json(folder / 'config.json', config)
    if config['model_type'] == 'roberta':
        tiny.edit_json(folder / 'tokenizer_config.json', mask_token=MASK)
        tiny.add_bos(folder)
    (folder / 'model.safetensors').unlink()
    tiny.save_tensors(folder, random_tensors(config), shards)
    return folder


def random_tensors(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """All tensors by their HF names, f32; scales near what leaves x alone."""
    rng = np.random.default_rng(len(config))
    decoder = families.model_config(config)
    shapes = sizes.param_shapes(decoder)
    scale = float(decoder.norm != 'rms_plus_one')
    tensors = {}
    for rule in families.names(config):
        if rule.path not in shapes:
            continue
        shape = shapes[rule.path]
        stacked = 'layers/' in rule.path
        for layer in range(shape[0] if stacked else 1):
            own = shape[1:] if stacked else shape
            mean = scale * rule.path.endswith('scale')
            value = rng.normal(mean, 0.15, own[::-1] if rule.transpose else own)
            tensors[rule.example(layer)] = value.astype(np.float32)
    return tensors
