"""Laws of reading a checkpoint: nothing lost, nothing guessed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax.models import families, shards, sizes, source, weights
from fedprompt_jax.models.config import Rotary
from tests import tiny


def _load(folder, dtype='float32', sharding=None):
    hf = tiny.read_json(folder / 'config.json')
    config, names = families.model_config(hf), families.names(hf)
    return weights.load_weights(folder, names, config, dtype, sharding)


def _flat(params):
    flat, _ = jax.tree_util.tree_flatten_with_path(params)
    return {'/'.join(k.key for k in path): leaf for path, leaf in flat}


def _tensors(folder):
    return safetensors.load_file(folder / 'model.safetensors')


def _assert_equal(a, b):
    a, b = _flat(a), _flat(b)
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_array_equal(a[path], b[path], err_msg=path)


# What the tree must hold, written out by hand: (leaf, tensor, transposed).
_LAYER_LEAVES = (
    ('attention_norm/scale', 'input_layernorm', False),
    ('attention/query/kernel', 'self_attn.q_proj', True),
    ('attention/key/kernel', 'self_attn.k_proj', True),
    ('attention/value/kernel', 'self_attn.v_proj', True),
    ('attention/output/kernel', 'self_attn.o_proj', True),
    ('mlp_norm/scale', 'post_attention_layernorm', False),
    ('mlp/gate/kernel', 'mlp.gate_proj', True),
    ('mlp/up/kernel', 'mlp.up_proj', True),
    ('mlp/down/kernel', 'mlp.down_proj', True),
)


@pytest.mark.parametrize('tied', [True, False])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_every_leaf_is_its_tensor(tmp_path, tied, dtype):
    folder = tiny.make_checkpoint(tmp_path, tied=tied, dtype=dtype)
    tensors, params = _tensors(folder), _flat(_load(folder))
    expected = {
        'embed/embedding': tensors['model.embed_tokens.weight'],
        'final_norm/scale': tensors['model.norm.weight'],
    }
    if not tied:
        expected['head/kernel'] = tensors['lm_head.weight'].T
    for leaf, name, transposed in _LAYER_LEAVES:
        parts = [tensors[f'model.layers.{i}.{name}.weight'] for i in (0, 1)]
        stack = np.stack([p.T if transposed else p for p in parts])
        expected[f'layers/{leaf}'] = stack
    assert params.keys() == expected.keys()
    for path, leaf in params.items():
        assert leaf.dtype == jnp.float32
        np.testing.assert_array_equal(leaf, expected[path].astype('f4'), path)


def test_large_tensors_come_in_pieces(tmp_path, monkeypatch):
    whole = _load(tiny.make_checkpoint(tmp_path, tied=False))
    monkeypatch.setattr(weights, '_CHUNK_BYTES', 7 * 4 * 32)
    _assert_equal(_load(tmp_path), whole)


def test_bfloat16_is_the_rounded_checkpoint(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    rounded = jax.tree.map(lambda x: x.astype(jnp.bfloat16), _load(folder))
    _assert_equal(_load(folder, jnp.bfloat16), rounded)


def test_shards_do_not_matter(tmp_path):
    one = tiny.make_checkpoint(tmp_path / 'one', dtype='bfloat16')
    two = tiny.make_checkpoint(tmp_path / 'two', dtype='bfloat16', shards=2)
    assert not (two / 'model.safetensors').exists()
    _assert_equal(_load(one), _load(two))


def test_layers_are_in_the_order_of_numbers(tmp_path):
    """Not in that of their names, which have layer 10 behind layer 1."""
    folder = tiny.make_checkpoint(tmp_path, num_layers=11, width=16)
    found = _flat(_load(folder))['layers/mlp/up/kernel']
    for i, kernel in enumerate(found):
        expected = _tensors(folder)[f'model.layers.{i}.mlp.up_proj.weight'].T
        np.testing.assert_array_equal(kernel, expected)


def test_a_whole_file_comes_before_shards(tmp_path):
    """As in transformers, where a folder holds both."""
    folder = tiny.make_checkpoint(tmp_path, shards=2)
    other = tiny.make_checkpoint(tmp_path / 'other', seed=1)
    (other / 'model.safetensors').rename(folder / 'model.safetensors')
    (other / 'model.safetensors').symlink_to(folder / 'model.safetensors')
    _assert_equal(_load(folder), _load(other))


def test_sharding_function_places_every_leaf(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    mesh, seen = jax.make_mesh((1,), ('model',)), {}

    def sharding(path):
        axis = 'model' if path.endswith('kernel') else None
        spec = jax.sharding.PartitionSpec(axis)
        seen[path] = jax.sharding.NamedSharding(mesh, spec)
        return seen[path]

    params = _load(folder, sharding=sharding)
    _assert_equal(params, _load(folder))
    assert {k: x.sharding for k, x in _flat(params).items()} == seen


def test_a_loaded_model_lies_where_its_sharding_says(tmp_path):
    """Also its integers and their scales."""
    folder, seen = tiny.make_checkpoint(tmp_path), []

    def sharding(path):
        seen.append(path)
        return jax.sharding.SingleDeviceSharding(jax.devices()[0])

    lm = source.load(folder, jnp.bfloat16, sharding, 'int8')
    leaves = sizes.base_leaves(lm.config, jnp.bfloat16, 'int8')
    assert sorted(seen) == sorted(leaves)
    found = {path: (x.shape, x.dtype) for path, x in _flat(lm.base).items()}
    assert found == {path: (x.shape, x.dtype) for path, x in leaves.items()}


@pytest.mark.parametrize('tied', [True, False])
def test_parameter_counts(tmp_path, tied):
    folder = tiny.make_checkpoint(tmp_path, tied=tied)
    config = families.model_config(tiny.read_json(folder / 'config.json'))
    params, count = (
        _load(folder),
        sum(t.size for t in _tensors(folder).values()),
    )
    assert sizes.num_params(config) == count
    layers = sum(x.size for x in jax.tree.leaves(params['layers']))
    assert sizes.block_params(config) == layers


def test_all_faults_are_listed_at_once(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    tensors = _tensors(folder)
    del tensors['model.layers.1.mlp.up_proj.weight']
    tensors['model.norm.weight'] = np.ones(31, np.float32)
    tensors['model.layers.0.self_attn.q_proj.bias'] = np.ones(32, np.float32)
    tensors['model.layers.2.mlp.up_proj.weight'] = np.ones(5, np.float32)
    tensors['layers.0.mlp.up_proj.weight'] = np.ones((64, 32), np.float32)
    key = 'model.layers.0.self_attn.k_proj.weight'
    tensors[key] = tensors[key].astype(np.int8)
    tiny.save_tensors(folder, tensors)
    with pytest.raises(ValueError) as error:
        _load(folder)
    for fault in (
        'missing: layers/mlp/up/kernel, layer 1',
        'wrong shape: model.norm.weight is (31,), needs (32,)',
        'unexpected: model.layers.0.self_attn.q_proj.bias (32,)',
        'unexpected: model.layers.2.mlp.up_proj.weight',
        'given twice: layers/mlp/up/kernel',
        f'unsupported dtype: {key} is I8, needs one of F32, BF16, F16',
    ):
        assert fault in str(error.value)
    assert str(error.value).count('\n') == 6


def test_recomputed_and_repeated_tensors_are_tolerated(tmp_path):
    folder = tiny.make_checkpoint(tmp_path, tied=True)
    plain, tensors = _load(folder), _tensors(folder)
    tensors['lm_head.weight'] = tensors['model.embed_tokens.weight'].copy()
    inv_freq = np.ones(4, np.float32)
    tensors['model.layers.0.self_attn.rotary_emb.inv_freq'] = inv_freq
    tensors['model.rotary_emb.inv_freq'] = inv_freq.copy()
    tiny.save_tensors(folder, tensors)
    _assert_equal(_load(folder), plain)
    tensors['lm_head.weight'][17, 3] += 1
    tiny.save_tensors(folder, tensors)
    with pytest.raises(ValueError, match=r'lm_head.weight differs from'):
        _load(folder)


def test_untied_checkpoint_needs_a_head(tmp_path):
    folder = tiny.make_checkpoint(tmp_path, tied=True)
    tiny.edit_json(folder / 'config.json', tie_word_embeddings=False)
    with pytest.raises(ValueError, match='missing: head/kernel'):
        _load(folder)


def test_headless_prefix_is_understood(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    plain, tensors = _load(folder), _tensors(folder)
    short = {k.removeprefix('model.'): v for k, v in tensors.items()}
    tiny.save_tensors(folder, short)
    _assert_equal(_load(folder), plain)


@pytest.mark.filterwarnings('ignore:overflow')
def test_float16_never_overflows_silently(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    tensors = _tensors(folder)
    tensors['model.norm.weight'][3] = 1e6
    tiny.save_tensors(folder, tensors)
    _load(folder, 'bfloat16')
    with pytest.raises(ValueError, match=r'final_norm/scale .* bfloat16'):
        _load(folder, 'float16')


def test_pickle_is_refused_with_the_command(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    (folder / 'model.safetensors').rename(folder / 'pytorch_model.bin')
    with pytest.raises(ValueError, match=r'pytorch_model\.bin.*save_pretrain'):
        _load(folder)
    (folder / 'pytorch_model.bin').unlink()
    with pytest.raises(ValueError, match=r'neither model.safetensors nor'):
        _load(folder)


def test_absent_and_broken_shards_are_named(tmp_path):
    folder = tiny.make_checkpoint(tmp_path, shards=2)
    last = folder / 'model-00002-of-00002.safetensors'
    content = last.read_bytes()
    last.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=f'{last.name} is not a whole'):
        _load(folder)
    last.unlink()
    with pytest.raises(ValueError, match=f'not there: {last.name}'):
        _load(folder)


def test_a_shard_is_as_long_as_its_header_says(tmp_path):
    path = tiny.make_checkpoint(tmp_path) / 'model.safetensors'
    content = path.read_bytes()
    assert '__metadata__' not in shards.tensor_names(tmp_path)
    for other in (content[:-1], content + b'\0'):
        path.write_bytes(other)
        with pytest.raises(ValueError, match='bytes and should have'):
            shards.tensor_names(tmp_path)


def test_fingerprint_follows_the_content_not_the_place(tmp_path):
    a = tiny.make_checkpoint(tmp_path / 'a')
    b = tiny.make_checkpoint(tmp_path / 'b')
    c = tiny.make_checkpoint(tmp_path / 'c', seed=1)
    known = shards.checkpoint_fingerprint(a)
    assert known == shards.checkpoint_fingerprint(b)
    assert known != shards.checkpoint_fingerprint(c)
    for name in ('config.json', 'tokenizer.json'):
        tiny.edit_json(b / name, changed=1)
        assert known != shards.checkpoint_fingerprint(b)
        tiny.edit_json(b / name, changed=None)


# config.json


def _hf(tmp_path, **changes):
    folder = tiny.make_checkpoint(tmp_path)
    hf = tiny.read_json(folder / 'config.json') | changes
    return {key: value for key, value in hf.items() if value is not ...}


@pytest.mark.parametrize('absent', [..., None])
def test_config_defaults_are_those_of_hf(absent, tmp_path):
    optional = (
        'num_key_value_heads',
        'head_dim',
        'hidden_act',
        'max_position_embeddings',
        'rms_norm_eps',
        'rope_theta',
        'tie_word_embeddings',
    )
    config = families.model_config(
        _hf(tmp_path, **dict.fromkeys(optional, absent))
    )
    assert (config.num_kv_heads, config.head_dim) == (4, 8)
    assert (config.rotary, config.norm_eps) == (Rotary(10000.0), 1e-6)
    assert (config.tied_embeddings, config.max_positions) == (False, 2048)


def test_old_and_new_rope_keys_mean_the_same(tmp_path):
    old = _hf(tmp_path, rope_theta=5e5, rope_scaling=None)
    rope = {'rope_type': 'default', 'rope_theta': 5e5}
    new = _hf(tmp_path, rope_theta=..., rope_parameters=rope, dtype='bfloat16')
    assert families.model_config(old) == families.model_config(new)
    assert families.model_config(new).rotary == Rotary(5e5)


def test_llama_3_s_scaling_is_read_by_its_names(tmp_path):
    rope = {
        'rope_type': 'llama3',
        'factor': 32.0,
        'low_freq_factor': 1.5,
        'high_freq_factor': 4.0,
        'original_max_position_embeddings': 8192,
    }
    config = families.model_config(_hf(tmp_path, rope_scaling=rope))
    assert config.rotary == Rotary(1e4, llama3=(32.0, 1.5, 4.0, 8192.0))
    del rope['original_max_position_embeddings']  # then it is max_position_...
    config = families.model_config(_hf(tmp_path, rope_scaling=rope))
    assert config.rotary == Rotary(1e4, llama3=(32.0, 1.5, 4.0, 512.0))


@pytest.mark.parametrize(
    'key, value',
    [
        ('model_type', 'bloom'),
        ('hidden_act', 'gelu'),
        ('sliding_window', 4096),
        ('layer_types', ['full_attention', 'sliding_attention']),
        ('quantization_config', {'bits': 4}),
        ('rope_scaling', {'type': 'linear'}),
        ('rope_scaling', {'type': 'linear', 'factor': 0}),
        ('rope_scaling', {'rope_type': 'llama3', 'factor': 8.0}),
        ('rope_parameters', {'rope_type': 'yarn', 'rope_theta': 1e4}),
        ('rope_parameters', {'partial_rotary_factor': 0.4}),
        ('rope_parameters', {'rope_theta': 7.0}),
        ('num_key_value_heads', 3),
        ('head_dim', 7),
        ('hidden_size', 30),
        ('vocab_size', None),
        ('rms_norm_eps', float('nan')),
        ('num_hidden_layers', 0),
    ],
)
def test_what_is_not_computed_is_refused(tmp_path, key, value):
    changes = {key: value}
    if key == 'hidden_size':
        changes['head_dim'] = None
    with pytest.raises(ValueError, match=key):
        families.model_config(_hf(tmp_path, **changes))


def test_all_config_faults_come_together(tmp_path):
    hf = _hf(tmp_path, sliding_window=8, vocab_size=-1, hidden_act='gelu')
    with pytest.raises(ValueError, match=r'gelu.*sliding') as error:
        families.model_config(hf)
    assert 'vocab_size=-1' in str(error.value)


@pytest.mark.parametrize(
    ('kind', 'auto'),
    [('t5', 'Seq2SeqLM'), ('roberta', 'MaskedLM'), ('gpt2', 'CausalLM')],
)
def test_the_conversion_of_pickles_is_of_the_model_s_kind(kind, auto, tmp_path):
    (tmp_path / 'config.json').write_text(f'{{"model_type": "{kind}"}}')
    (tmp_path / 'pytorch_model.bin').write_bytes(b'')
    with pytest.raises(ValueError, match=f'import AutoModelFor{auto} as M'):
        shards.shard_paths(tmp_path)
