"""GPT-NeoX and Pythia: the fused kernel is all queries, all keys, all values.

HF's is one head after the other, the query, key and value of each.
"""

from typing import Any

from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.tensors import (
    Tensor,
    both,
    parts_first,
    table,
)

ARCHITECTURES = ('gptneox',)

_LAYER = both(
    {
        'attn_norm': 'input_layernorm',
        'attn_qkv': 'attention.query_key_value',
        'attn_output': 'attention.dense',
        'ffn_norm': 'post_attention_layernorm',
        'ffn_up': 'mlp.dense_h_to_4h',
        'ffn_down': 'mlp.dense_4h_to_h',
    }
)
_OUTER = {
    'token_embd.weight': Tensor('gpt_neox.embed_in.weight'),
    **both({'output_norm': 'gpt_neox.final_layer_norm'}),
}
_OPTIONAL = ('attn_qkv.bias', 'attn_output.bias')


def config(file: GGUFFile) -> dict[str, Any]:
    """The config.json of the model; its activation is not in the file."""
    heads, _, head_dim = file.heads()
    file.only('attention.head_count_kv', None, heads)
    turned = file.size('rope.dimension_count')
    if turned > head_dim or turned % 2:
        file.faults.append(
            f'{file.arch}.rope.dimension_count={turned} must be even, and not '
            f"more than a head's {head_dim}"
        )
    return {
        'architectures': ['GPTNeoXForCausalLM'],
        'model_type': 'gpt_neox',
        'vocab_size': file.vocab_size(),
        'hidden_size': file.size('embedding_length'),
        'intermediate_size': file.size('feed_forward_length'),
        'num_hidden_layers': file.layers(),
        'num_attention_heads': heads,
        'hidden_act': 'gelu',
        'max_position_embeddings': file.size('context_length'),
        'layer_norm_eps': file.real('attention.layer_norm_epsilon'),
        'rotary_pct': turned / head_dim,
        'rotary_emb_base': file.real('rope.freq_base', 10000.0, 1.0),
        'rope_scaling': file.rope_scaling(),
        'use_parallel_residual': file.field(
            f'{file.arch}.use_parallel_residual', bool, True
        ),
        'attention_bias': f'blk.0.{_OPTIONAL[0]}' in file.shapes,
    }


def tensors(file: GGUFFile, config: dict[str, Any]) -> dict[str, Tensor]:
    """Lists what each tensor of the file becomes."""
    outer = dict(_OUTER)
    if not file.tied:
        outer['output.weight'] = Tensor('embed_out.weight')
    heads = config['num_attention_heads']
    rows = parts_first(heads, config['hidden_size'] // heads)
    layer = {
        name: tensor._replace(order=rows if 'attn_qkv' in name else None)
        for name, tensor in _LAYER.items()
        if config['attention_bias'] or name not in _OPTIONAL
    }
    layers = config['num_hidden_layers']
    return table(outer, layer, 'gpt_neox.layers.{}.', layers)
