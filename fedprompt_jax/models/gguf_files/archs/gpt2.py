"""GPT-2: llama.cpp stores its Conv1D kernels (out, in)."""

from typing import Any

from fedprompt_jax.models.gguf_files.file import GGUFFile
from fedprompt_jax.models.gguf_files.tensors import Tensor, both, table

ARCHITECTURES = ('gpt2',)

_LAYER = both(
    {
        'attn_norm': 'ln_1',
        'attn_qkv': 'attn.c_attn',
        'attn_output': 'attn.c_proj',
        'ffn_norm': 'ln_2',
        'ffn_up': 'mlp.c_fc',
        'ffn_down': 'mlp.c_proj',
    }
)
_OUTER = {
    'token_embd.weight': Tensor('transformer.wte.weight'),
    'position_embd.weight': Tensor('transformer.wpe.weight'),
    **both({'output_norm': 'transformer.ln_f'}),
}


def config(file: GGUFFile) -> dict[str, Any]:
    """The config.json of the model; its activation is not in the file."""
    heads, _, _ = file.heads()
    file.only('attention.head_count_kv', None, heads)
    return {
        'architectures': ['GPT2LMHeadModel'],
        'model_type': 'gpt2',
        'vocab_size': file.vocab_size(),
        'n_embd': file.size('embedding_length'),
        'n_inner': file.size('feed_forward_length'),
        'n_layer': file.layers(),
        'n_head': heads,
        'n_positions': file.size('context_length'),
        'activation_function': 'gelu_new',
        'layer_norm_epsilon': file.real('attention.layer_norm_epsilon'),
    }


def tensors(file: GGUFFile, config: dict[str, Any]) -> dict[str, Tensor]:
    """Lists what each tensor becomes; kernels are (in, out) again."""
    outer = dict(_OUTER)
    if not file.tied:
        outer['output.weight'] = Tensor('lm_head.weight')
    layer = {
        name: tensor._replace(
            transpose=name.endswith('.weight') and 'norm' not in name
        )
        for name, tensor in _LAYER.items()
    }
    return table(outer, layer, 'transformer.h.{}.', config['n_layer'])
