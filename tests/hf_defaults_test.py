"""What a config.json does not say is what transformers takes it to be."""

import functools

import pytest
import transformers

from fedprompt_jax.models import families

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
