"""Names of tensors, as published checkpoints have them.

Tiny checkpoints are named by the families' own rules, so that they cannot
show a wrong name. These lists were written from the checkpoints on the hub.
"""

import pytest

from fedprompt_jax.models import families
from tests import tiny_families


def both(*modules: str) -> set[str]:
    """Weight and bias of each module."""
    return {f'{m}.{part}' for m in modules for part in ('weight', 'bias')}


def weights(*modules: str) -> set[str]:
    return {f'{module}.weight' for module in modules}


LLAMA_REST = weights(
    'input_layernorm',
    'post_attention_layernorm',
    'mlp.gate_proj',
    'mlp.up_proj',
    'mlp.down_proj',
)
# Config -> (names outside of the layers, prefixes of layers and their names).
PUBLISHED = {
    'opt_350m': (  # facebook/opt-350m
        weights(
            'model.decoder.embed_tokens',
            'model.decoder.embed_positions',
            'model.decoder.project_in',
            'model.decoder.project_out',
        ),
        {
            'model.decoder.layers.{}.': both(
                'self_attn.q_proj',
                'self_attn.k_proj',
                'self_attn.v_proj',
                'self_attn.out_proj',
                'self_attn_layer_norm',
                'fc1',
                'fc2',
                'final_layer_norm',
            )
        },
    ),
    'roberta': (  # FacebookAI/roberta-large
        weights(
            'roberta.embeddings.word_embeddings',
            'roberta.embeddings.position_embeddings',
            'roberta.embeddings.token_type_embeddings',
        )
        | both(
            'roberta.embeddings.LayerNorm',
            'lm_head.dense',
            'lm_head.layer_norm',
        )
        | {'lm_head.bias'},
        {
            'roberta.encoder.layer.{}.': both(
                'attention.self.query',
                'attention.self.key',
                'attention.self.value',
                'attention.output.dense',
                'attention.output.LayerNorm',
                'intermediate.dense',
                'output.dense',
                'output.LayerNorm',
            )
        },
    ),
    't5': (  # google-t5/t5-base
        weights(
            'shared',
            'encoder.final_layer_norm',
            'decoder.final_layer_norm',
            'encoder.block.0.layer.0.SelfAttention.relative_attention_bias',
            'decoder.block.0.layer.0.SelfAttention.relative_attention_bias',
        ),
        {
            'encoder.block.{}.': weights(
                *(f'layer.0.SelfAttention.{part}' for part in 'qkvo'),
                'layer.0.layer_norm',
                'layer.1.DenseReluDense.wi',
                'layer.1.DenseReluDense.wo',
                'layer.1.layer_norm',
            ),
            'decoder.block.{}.': weights(
                *(f'layer.0.SelfAttention.{part}' for part in 'qkvo'),
                'layer.0.layer_norm',
                *(f'layer.1.EncDecAttention.{part}' for part in 'qkvo'),
                'layer.1.layer_norm',
                'layer.2.DenseReluDense.wi',
                'layer.2.DenseReluDense.wo',
                'layer.2.layer_norm',
            ),
        },
    ),
    't5_v1_1': (  # google/t5-v1_1-base
        weights(
            'shared',
            'lm_head',
            'encoder.final_layer_norm',
            'decoder.final_layer_norm',
            'encoder.block.0.layer.0.SelfAttention.relative_attention_bias',
            'decoder.block.0.layer.0.SelfAttention.relative_attention_bias',
        ),
        {
            'encoder.block.{}.': weights(
                *(f'layer.0.SelfAttention.{part}' for part in 'qkvo'),
                'layer.0.layer_norm',
                'layer.1.DenseReluDense.wi_0',
                'layer.1.DenseReluDense.wi_1',
                'layer.1.DenseReluDense.wo',
                'layer.1.layer_norm',
            ),
            'decoder.block.{}.': weights(
                *(f'layer.0.SelfAttention.{part}' for part in 'qkvo'),
                'layer.0.layer_norm',
                *(f'layer.1.EncDecAttention.{part}' for part in 'qkvo'),
                'layer.1.layer_norm',
                'layer.2.DenseReluDense.wi_0',
                'layer.2.DenseReluDense.wi_1',
                'layer.2.DenseReluDense.wo',
                'layer.2.layer_norm',
            ),
        },
    ),
    'qwen2': (  # Qwen/Qwen2.5-0.5B: no bias of the output
        weights('model.embed_tokens', 'model.norm'),
        {
            'model.layers.{}.': both(
                'self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'
            )
            | weights('self_attn.o_proj')
            | LLAMA_REST
        },
    ),
    'qwen3': (  # Qwen/Qwen3-0.6B: no bias, and norms of heads
        weights('model.embed_tokens', 'model.norm', 'lm_head'),
        {
            'model.layers.{}.': weights(
                *(f'self_attn.{part}_proj' for part in 'qkvo'),
                'self_attn.q_norm',
                'self_attn.k_norm',
            )
            | LLAMA_REST
        },
    ),
    'gemma3': (  # google/gemma-3-1b-pt
        weights('model.embed_tokens', 'model.norm'),
        {
            'model.layers.{}.': weights(
                *(f'self_attn.{part}_proj' for part in 'qkvo'),
                'self_attn.q_norm',
                'self_attn.k_norm',
                'pre_feedforward_layernorm',
                'post_feedforward_layernorm',
            )
            | LLAMA_REST
        },
    ),
    'neox_serial': (  # EleutherAI/pythia-160m, without the attention's biases
        weights('gpt_neox.embed_in', 'embed_out')
        | both('gpt_neox.final_layer_norm'),
        {
            'gpt_neox.layers.{}.': both(
                'input_layernorm',
                'post_attention_layernorm',
                'mlp.dense_h_to_4h',
                'mlp.dense_4h_to_h',
            )
            | weights('attention.query_key_value', 'attention.dense')
        },
    ),
}
LAYERS = {'decoder.block.{}.': {'t5': 3, 't5_v1_1': 2}}


@pytest.mark.parametrize('name', PUBLISHED)
def test_tensors_have_the_names_of_published_checkpoints(name):
    outside, inside = PUBLISHED[name]
    expected = set(outside)
    for prefix, rest in inside.items():
        layers = LAYERS.get(prefix, {}).get(name, tiny_families.LAYERS)
        expected |= {prefix.format(i) + x for i in range(layers) for x in rest}
    config = tiny_families.CONFIGS[name] | {'vocab_size': 300}
    assert tiny_families.random_tensors(config).keys() == expected


@pytest.mark.parametrize(
    ('tied', 'used', 'other'),
    [(True, 'bias', 'decoder.bias'), (False, 'decoder.bias', 'bias')],
)
def test_the_bias_of_roberta_s_head_is_that_of_the_kernel_used(
    tied, used, other
):
    """As transformers computes it: a tied head's bias is lm_head.bias."""
    config = tiny_families.CONFIGS['roberta'] | {'tie_word_embeddings': tied}
    rules = families.names(config)
    paths = {rule.example(0): rule.path for rule in rules}
    assert paths[f'lm_head.{used}'] == 'head_bias'
    assert paths[f'lm_head.{other}'] == ''
