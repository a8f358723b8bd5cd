"""What a config.json means, family by family.

What it does not say is what transformers takes it to be.
"""

import functools

import pytest
import transformers

from fedprompt_jax.models import families
from fedprompt_jax.models.config import Rotary

# Sizes that every config.json has, and transformers' defaults of which are
# those of one model.
SIZES = {
    'vocab_size': 300,
    'hidden_size': 32,
    'intermediate_size': 48,
    'num_hidden_layers': 7,
    'num_attention_heads': 4,
    'num_key_value_heads': 2,
}
NEOX = {k: v for k, v in SIZES.items() if k != 'num_key_value_heads'}
GIVEN = {
    'llama': SIZES,
    'mistral': SIZES,
    'qwen2': SIZES,
    'qwen3': SIZES | {'head_dim': 16},
    'gemma': SIZES,
    'gemma2': SIZES,
    'gemma3_text': SIZES,
    'gpt2': {},
    'gpt_neox': NEOX,
    'opt': {},
    'roberta': {'num_attention_heads': 12},
    't5': {},
    'mt5': {
        'vocab_size': 300,
        'd_ff': 48,
        'd_model': 32,
        'num_layers': 3,
        'num_heads': 4,
    },
}
EPSILONS = {
    **dict.fromkeys(GIVEN, 'rms_norm_eps'),
    **dict.fromkeys(('gpt2', 't5', 'mt5'), 'layer_norm_epsilon'),
    **dict.fromkeys(('gpt_neox', 'roberta'), 'layer_norm_eps'),
}
del EPSILONS['opt']  # it has PyTorch's


@functools.cache
def theirs(kind: str, **more) -> dict:
    """All fields of transformers' config with the sizes given."""
    fields = GIVEN[kind] | more
    return transformers.AutoConfig.for_model(kind, **fields).to_dict()


@pytest.mark.parametrize('kind', GIVEN)
def test_an_absent_key_is_the_default_of_transformers(kind):
    few = GIVEN[kind] | {'model_type': kind}
    assert families.model_config(few) == families.model_config(theirs(kind))


@pytest.mark.parametrize('kind', EPSILONS)
def test_the_epsilon_of_the_file_is_that_of_the_norms(kind):
    fields = GIVEN[kind] | {'model_type': kind, EPSILONS[kind]: 0.25}
    assert families.model_config(fields).norm_eps == 0.25


@pytest.mark.parametrize('kind', ['gpt2', 'opt', 'roberta'])
def test_the_table_of_positions_ends_with_the_last_position(kind):
    config = families.model_config(GIVEN[kind] | {'model_type': kind})
    rows = config.position_offset + config.max_positions
    assert rows == config.position_rows


@pytest.mark.parametrize(
    ('key', 'field'),
    [
        ('attn_logit_softcapping', 'score_cap'),
        ('final_logit_softcapping', 'logit_cap'),
    ],
)
def test_a_cap_of_null_is_off_and_one_of_its_own_counts(key, field):
    fields = GIVEN['gemma2'] | {'model_type': 'gemma2'}
    caps = [
        getattr(families.model_config(fields | {key: value}), field)
        for value in (None, 7.0)
    ]
    assert caps == [0.0, 7.0]


@pytest.mark.parametrize('kind', ['mistral', 'qwen2', 'qwen3'])
def test_a_window_is_transformers_unless_it_is_null(kind):
    """Of Qwen's models, those that use one."""
    fields = GIVEN[kind] | {'model_type': kind, 'use_sliding_window': True}
    fields['max_window_layers'] = 2
    config = families.model_config(fields)
    assert (
        config.window == theirs(kind, use_sliding_window=True)['sliding_window']
    )
    assert any(config.local_layers)
    fields['sliding_window'] = None
    assert families.model_config(fields).window == 0


# Of each kind, settings that would compute something that is not computed.
REFUSED = {
    'gemma2': {'use_bidirectional_attention': True, 'hidden_activation': 'x'},
    'gpt2': {
        'scale_attn_weights': False,
        'scale_attn_by_inverse_layer_idx': True,
        'add_cross_attention': True,
        'activation_function': 'swish',
        'n_head': 7,
    },
    'gpt_neox': {'num_key_value_heads': 2, 'hidden_act': 'mish'},
    'opt': {'layer_norm_elementwise_affine': False, 'num_attention_heads': 7},
    'roberta': {
        'position_embedding_type': 'relative_key',
        'is_decoder': True,
        'add_cross_attention': True,
        'num_attention_heads': 7,
    },
    't5': {'feed_forward_proj': 'gated-relu6', 'd_kv': 0},
}
REFUSED = [
    (kind, key, value)
    for kind, settings in REFUSED.items()
    for key, value in settings.items()
]


@pytest.mark.parametrize(('kind', 'key', 'value'), REFUSED)
def test_what_is_not_computed_is_refused_by_its_name(kind, key, value):
    fields = GIVEN[kind] | {'model_type': kind, key: value}
    with pytest.raises(ValueError, match=key):
        families.model_config(fields)


@pytest.mark.parametrize(
    ('kind', 'settings', 'scale'),
    [
        ('t5', {}, 64**-0.5),
        ('t5', {'tie_word_embeddings': False}, 1.0),
        ('t5', {'scale_decoder_outputs': False}, 1.0),
        ('mt5', {'tie_word_embeddings': True}, 1.0),
    ],
)
def test_a_tied_t5_scales_its_hidden_states_and_mt5_never(
    kind, settings, scale
):
    fields = {'model_type': kind, 'd_model': 64} | settings
    assert families.model_config(fields).head_scale == scale


def test_biases_are_where_their_keys_put_them():
    """(query, output, MLP): Qwen 2's output has none, Llama's both."""
    result = {}
    for kind in ('llama', 'mistral', 'qwen2', 'qwen3'):
        fields = GIVEN[kind] | {'model_type': kind}
        for bias in (False, True):
            keys = {'attention_bias': bias, 'mlp_bias': bias}
            c = families.model_config(fields | keys)
            result[kind, bias] = c.attention_bias, c.output_bias, c.mlp_bias
    assert result == {
        ('llama', False): (False, False, False),
        ('llama', True): (True, True, True),
        ('mistral', False): (False, False, False),
        ('mistral', True): (True, True, False),
        ('qwen2', False): (True, False, False),
        ('qwen2', True): (True, False, False),
        ('qwen3', False): (False, False, False),
        ('qwen3', True): (True, True, False),
    }


@pytest.mark.parametrize(
    'kinds', [['full_attention'], ['full_attention'] * 6 + ['chunked']]
)
def test_layer_types_name_every_layer(kinds):
    fields = GIVEN['gemma2'] | {'model_type': 'gemma2', 'layer_types': kinds}
    with pytest.raises(ValueError, match='must name 7 layers'):
        families.model_config(fields)


def test_an_opt_may_be_without_its_last_norm():
    """Old checkpoints of 350M-like models say so."""
    fields = {'model_type': 'opt', '_remove_final_layer_norm': True}
    assert not families.model_config(fields).final_norm
    assert families.model_config({'model_type': 'opt'}).final_norm


def test_pythia_s_partial_rotation_has_three_names():
    """That of GPT-NeoX, and those of transformers 5 outside and inside."""
    fields = GIVEN['gpt_neox'] | {'model_type': 'gpt_neox'}
    for key in (
        {'rotary_pct': 0.5},
        {'partial_rotary_factor': 0.5},
        {'rope_parameters': {'partial_rotary_factor': 0.5}},
    ):
        rotary = families.model_config(fields | key).rotary
        assert rotary == Rotary(10_000.0, 0.5)
    assert families.model_config(fields).rotary == Rotary(10_000.0, 0.25)
