"""Our adapters are HF PEFT's, which tests/parity stored in tests/golden."""

import re

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax.bank import hf_adapter
from fedprompt_jax.models import families
from tests import tiny
from tests.parity import adapters

# Of adapter_config.json: what decides how PEFT reads the tensors.
NUMBERS = {
    'prefix': {
        'num_virtual_tokens',
        'num_transformer_submodules',
        'num_layers',
        'num_attention_heads',
        'token_dim',
        'prefix_projection',
    },
    'lora': {'r', 'lora_alpha', 'fan_in_fan_out'},
    'ia3': {'fan_in_fan_out'},
}


@pytest.fixture(scope='module')
def lm(tmp_path_factory):
    return adapters.load(tmp_path_factory.mktemp('llama'))


@pytest.mark.parametrize('name', adapters.CONFIGS)
def test_the_loss_behind_an_adapter_of_peft_is_pytorch_s(name, lm):
    kind = adapters.make_kind(name, lm)
    params = hf_adapter.load(adapters.folder_of(name), kind)
    losses = adapters.our_losses(lm, kind, params)
    theirs = adapters.read_losses()[name]
    np.testing.assert_allclose(losses, theirs, rtol=1e-4)


def test_the_stored_losses_tell_the_adapters_apart():
    losses = np.array([*adapters.read_losses().values()])
    assert losses.shape == (len(adapters.CONFIGS), len(adapters.examples()))
    shares = abs(losses[:, None] / losses[None, :] - 1).max(axis=-1)
    assert shares[~np.eye(len(losses), dtype=bool)].min() > 0.01


@pytest.mark.parametrize('name', NUMBERS)
def test_a_saved_adapter_has_the_tensors_and_numbers_of_peft_s(
    name, lm, tmp_path
):
    kind, theirs = adapters.make_kind(name, lm), adapters.folder_of(name)
    params = hf_adapter.load(theirs, kind)
    hf_adapter.save(tmp_path, kind, params, 'base', lm.config)

    saved, expected = (
        safetensors.load_file(folder / 'adapter_model.safetensors')
        for folder in (tmp_path, theirs)
    )
    assert saved.keys() == expected.keys()
    for key, x in expected.items():
        assert saved[key].shape == x.shape, key
        np.testing.assert_array_equal(saved[key], x, err_msg=key)

    saved, expected = (
        tiny.read_json(folder / 'adapter_config.json')
        for folder in (tmp_path, theirs)
    )
    for key in {'peft_type', 'task_type', *NUMBERS[name]}:
        assert saved[key] == expected[key], key
    jax.tree.map(
        np.testing.assert_array_equal, params, hf_adapter.load(tmp_path, kind)
    )


@pytest.mark.parametrize('name', ['lora', 'ia3'])
def test_the_layers_that_we_name_are_those_that_peft_has_tensors_for(name, lm):
    """PEFT matches the whole name of a layer with a text of target_modules."""
    kind, folder = adapters.make_kind(name, lm), adapters.folder_of(name)
    ours, _ = kind.to_hf(hf_adapter.load(folder, kind))
    theirs = tiny.read_json(folder / 'adapter_config.json')
    layers = [
        rule.example(layer).removesuffix('.weight')
        for rule in families.names(lm.hf_config)
        for layer in range(lm.config.num_layers)
    ]
    assert 'model.layers.1.self_attn.o_proj' in layers
    for key in {'target_modules', 'feedforward_modules'} & theirs.keys():
        for layer in layers:
            hit = re.fullmatch(ours[key], layer)
            assert bool(hit) == (layer.split('.')[-1] in theirs[key]), layer


def test_a_prefix_that_keeps_positions_is_no_adapter_of_peft(lm):
    kind = adapters.make_kind('prefix, kept', lm)
    params = hf_adapter.load(adapters.folder_of('prefix, kept'), kind)
    with pytest.raises(ValueError, match='shifted positions'):
        kind.to_hf(params)
