"""What a GGUF file says of its model, beyond what the writer here writes."""

import struct

import gguf
import numpy as np
import pytest
from safetensors import numpy as safetensors
import transformers

from fedprompt_jax.models import families
from fedprompt_jax.models.gguf_files import convert, header
from tests import tiny, tiny_families, tiny_gguf


def converted(tmp_path, folder, **kwargs):
    """The folder that a GGUF file of a checkpoint becomes."""
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder, **kwargs)
    return convert.convert(path, tmp_path / 'out')


def config_of(folder):
    return families.model_config(tiny.read_json(folder / 'config.json'))


@pytest.mark.parametrize(('layers', 'scalar'), [(46, 8), (45, 16)])
def test_the_largest_gemma_scales_its_queries_by_its_width(
    layers, scalar, tmp_path
):
    """Width 32 by 4 heads is 8; a head's size, which counts else, is 16."""
    kinds = tiny_families.CONFIGS['gemma2']['layer_types'][:2] * layers
    folder = tiny_gguf.make_checkpoint(
        tmp_path / 'hf',
        'gemma2',
        num_hidden_layers=layers,
        layer_types=kinds[:layers],
        query_pre_attn_scalar=scalar,
    )
    assert config_of(converted(tmp_path, folder)) == config_of(folder)


def test_old_files_have_their_linear_factor_under_another_key(tmp_path):
    folder = tiny_gguf.make_checkpoint(tmp_path / 'hf', 'llama_linear')
    metadata = {
        'llama.rope.scaling.type': None,
        'llama.rope.scaling.factor': None,
        'llama.rope.scale_linear': 2.0,
    }
    out = converted(tmp_path, folder, metadata=metadata)
    assert config_of(out) == config_of(folder)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('expert_count', 8),
        ('pooling_type', 1),
        ('attention.causal', False),
        ('attention.scale', 0.5),
        ('attention.clamp_kqv', 8.0),
        ('attention.max_alibi_bias', 8.0),
        ('embedding_scale', 12.0),
        ('residual_scale', 0.5),
        ('logit_scale', 0.5),
        ('rope.scaling.attn_factor', 0.5),
        ('rope.scaling.type', 'yarn'),
        ('attention.value_length', 4),
    ],
)
def test_settings_of_other_models_are_refused(key, value, tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    with pytest.raises(ValueError, match=f'llama.{key}=.* is not supported'):
        converted(tmp_path, folder, metadata={f'llama.{key}': value})


def test_tensors_may_be_aligned_otherwise(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    expected = safetensors.load_file(folder / 'model.safetensors')
    out = converted(
        tmp_path, folder, change=lambda w: w.add_custom_alignment(256)
    )
    result = safetensors.load_file(out / 'model.safetensors')
    assert result.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(result[name], tensor)


def test_the_template_of_a_chat_comes_along(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    template = '{{ messages[0].content }}é'
    out = converted(
        tmp_path, folder, change=lambda w: w.add_chat_template(template)
    )
    theirs = transformers.AutoTokenizer.from_pretrained(out)
    assert theirs.chat_template == template
    assert theirs.model_max_length == 512


def header_of(tmp_path, *keys: str):
    """Reads a file that holds these metadata keys and nothing else."""
    raw = b'GGUF' + struct.pack('<IQQ', 3, 0, len(keys))
    for i, key in enumerate(keys):
        name = key.encode()
        kind = int(gguf.GGUFValueType.UINT32)
        raw += struct.pack('<Q', len(name)) + name + struct.pack('<II', kind, i)
    path = tmp_path / 'x.gguf'
    path.write_bytes(raw)
    return header.read(path)


def test_keys_are_there_once_and_can_be_shown(tmp_path):
    assert header_of(tmp_path, 'a', 'b').fields == {'a': 0, 'b': 1}
    with pytest.raises(ValueError, match='the metadata key a twice'):
        header_of(tmp_path, 'a', 'b', 'a')
    for name in ('', 'a\x1b[2J', 'a' * 513):
        with pytest.raises(ValueError, match='is damaged: a metadata key is'):
            header_of(tmp_path, name)


def test_truth_is_one_bit(tmp_path):
    """A list of bools is that of Gemma's layers with a window."""
    kinds = gguf.GGUFValueType
    raw = b'GGUF' + struct.pack('<IQQ', 3, 0, 1)
    raw += struct.pack('<Q', 1) + b'k'
    raw += struct.pack('<IIQ', int(kinds.ARRAY), int(kinds.BOOL), 3)
    path = tmp_path / 'x.gguf'
    path.write_bytes(raw + b'\1\0\1')
    assert header.read(path).fields == {'k': [True, False, True]}
    path.write_bytes(raw + b'\1\0\2')
    with pytest.raises(ValueError, match='k has entries neither true nor'):
        header.read(path)


def test_a_vocabulary_fits_its_table(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    tensors = safetensors.load_file(folder / 'model.safetensors')
    name = 'model.embed_tokens.weight'
    tensors[name] = tensors[name][:-1].copy()
    tiny.save_tensors(folder, tensors)
    with pytest.raises(ValueError, match='300 tokens, but .* has 299 rows'):
        converted(tmp_path, folder)
