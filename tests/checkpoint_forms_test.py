"""Forms of checkpoints that transformers loads: the same leaves from each."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors import numpy as safetensors
import transformers

from fedprompt_jax.models import export, families, source
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_families, tiny_tokenizers

FILE = 'model.safetensors'


def load(folder):
    return source.load(folder, jnp.float32)


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


# Family -> the one name that a tied table is stored under, and its others.
TIED = {
    'llama': ('lm_head.weight', ['model.embed_tokens.weight']),
    'gpt2': ('lm_head.weight', ['transformer.wte.weight']),
    'gemma2': ('lm_head.weight', ['model.embed_tokens.weight']),
    'opt': ('lm_head.weight', ['model.decoder.embed_tokens.weight']),
    'roberta': (
        'lm_head.decoder.weight',
        ['roberta.embeddings.word_embeddings.weight'],
    ),
    't5': (
        'decoder.embed_tokens.weight',
        ['encoder.embed_tokens.weight', 'lm_head.weight', 'shared.weight'],
    ),
}


def make(folder, family):
    if family == 'llama':
        return tiny.make_checkpoint(folder)
    return tiny_families.make_checkpoint(folder, family)


@pytest.mark.parametrize('noted', [True, False])
@pytest.mark.parametrize('family', TIED)
def test_a_tied_table_under_another_of_its_names(family, noted, tmp_path):
    """As safetensors' save_model stores it, and without its note."""
    folder = make(tmp_path, family)
    expected = load(folder).base
    tensors = safetensors.load_file(folder / FILE)
    kept, others = TIED[family]
    (table,) = (tensors.pop(n) for n in others if n in tensors)
    tensors[kept] = table
    metadata = {'format': 'pt'} | (dict.fromkeys(others, kept) if noted else {})
    safetensors.save_file(tensors, folder / FILE, metadata)
    assert_same(load(folder).base, expected)


@pytest.mark.parametrize(
    ('family', 'copy', 'message'),
    [
        ('t5', 'encoder.embed_tokens.weight', 'differs from shared.weight'),
        ('roberta', 'lm_head.decoder.bias', 'differs from lm_head.bias'),
        ('gpt2', 'lm_head.weight', 'differs from transformer.wte.weight'),
    ],
)
def test_a_copy_that_differs_is_refused(family, copy, message, tmp_path):
    folder = make(tmp_path, family)
    expected = load(folder).base
    tensors = safetensors.load_file(folder / FILE)
    original = tensors[message.removeprefix('differs from ')]
    safetensors.save_file(tensors | {copy: original.copy()}, folder / FILE)
    assert_same(load(folder).base, expected)
    safetensors.save_file(tensors | {copy: original + 1}, folder / FILE)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_a_copy_of_integers_is_refused(tmp_path):
    folder = make(tmp_path, 't5')
    tensors = safetensors.load_file(folder / FILE)
    table = tensors.pop('shared.weight').astype(np.int8)
    kept = {'decoder.embed_tokens.weight': table}
    safetensors.save_file(tensors | kept, folder / FILE)
    with pytest.raises(ValueError, match=r'unsupported dtype: decoder\.embed'):
        load(folder)


def test_a_tied_table_twice_may_have_two_dtypes(tmp_path):
    folder = tiny.make_checkpoint(tmp_path, dtype='bfloat16')
    tensors = safetensors.load_file(folder / FILE)
    table = tensors['model.embed_tokens.weight']
    expected = load(folder).base
    twice = tensors | {'lm_head.weight': table.astype(np.float32)}
    safetensors.save_file(twice, folder / FILE)
    assert_same(load(folder).base, expected)
    twice['lm_head.weight'][0, 0] += 1
    safetensors.save_file(twice, folder / FILE)
    with pytest.raises(ValueError, match=r'lm_head\.weight differs from'):
        load(folder)


def test_layers_that_share_a_tensor_are_stored_once(tmp_path):
    """Safetensors' save_model notes the other names of what it stores."""
    folder = tiny.make_checkpoint(tmp_path)
    tensors = safetensors.load_file(folder / FILE)
    names = [f'model.layers.{i}.mlp.up_proj.weight' for i in (0, 1)]
    tensors[names[1]] = tensors[names[0]].copy()
    safetensors.save_file(tensors, folder / FILE)
    expected = load(folder).base
    del tensors[names[1]]
    safetensors.save_file(tensors, folder / FILE, {names[1]: names[0]})
    assert_same(load(folder).base, expected)


def test_a_written_model_has_all_files_of_its_tokenizer(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'model')
    lm = load(folder)
    names = (
        'added_tokens.json', 'config.json', 'generation_config.json',
        'merges.txt', 'special_tokens_map.json', 'tokenizer.json',
        'tokenizer.model', 'tokenizer_config.json', 'vocab.json',
    )  # fmt: skip
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_text(name)
    rules = families.names(lm.hf_config)
    export.save(tmp_path / 'new', lm.base, rules, folder, 'float32')
    for name in names:
        copy = tmp_path / 'new' / name
        assert copy.read_bytes() == (folder / name).read_bytes()
    before, after = (
        safetensors.load_file(f / FILE) for f in (folder, tmp_path / 'new')
    )
    assert_same(after, before)


def test_a_written_model_has_the_dtype_asked_for(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'model')
    lm = load(folder)
    rules = families.names(lm.hf_config)
    export.save(tmp_path / 'new', lm.base, rules, folder, 'bfloat16')
    for name, x in safetensors.load_file(tmp_path / 'new' / FILE).items():
        expected = safetensors.load_file(folder / FILE)[name]
        np.testing.assert_array_equal(x, expected.astype(ml_dtypes.bfloat16))
        assert x.dtype == ml_dtypes.bfloat16


def test_of_a_tensor_in_two_shards_the_index_s_is_read(tmp_path):
    folder = tiny.make_checkpoint(tmp_path, shards=2)
    expected = load(folder).base
    one, two = sorted(folder.glob('model-*.safetensors'))
    for mine, other in ((one, two), (two, one)):
        tensors = safetensors.load_file(mine)
        name = sorted(safetensors.load_file(other))[0]
        wrong = np.zeros_like(safetensors.load_file(other)[name])
        safetensors.save_file(tensors | {name: wrong}, mine)
    assert_same(load(folder).base, expected)


def test_wide_floats_are_read(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    expected = load(folder).base
    tensors = safetensors.load_file(folder / FILE)
    wide = {name: x.astype(np.float64) for name, x in tensors.items()}
    safetensors.save_file(wide, folder / FILE)
    assert_same(load(folder).base, expected)
    narrow = tensors['model.norm.weight'].astype(ml_dtypes.float8_e4m3fn)
    safetensors.save_file(
        tensors | {'model.norm.weight': narrow}, folder / FILE
    )
    with pytest.raises(ValueError, match=r'model\.norm\.weight is F8_E4M3'):
        load(folder)


# Tokens beyond the table


@pytest.mark.parametrize('where', ['tokenizer', 'config', 'ids'])
def test_a_padding_token_beyond_the_table_is_in_no_text(where, tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    named = folder / 'tokenizer_config.json'
    if where == 'tokenizer':
        backend = tiny.train_tokenizer()
        backend.add_special_tokens(['[PAD]'])
        backend.save(str(folder / 'tokenizer.json'))
        tiny.edit_json(named, pad_token='[PAD]')
    elif where == 'config':
        tiny.edit_json(named, pad_token='[PAD]')
        tiny.write_json(folder / 'added_tokens.json', {'[PAD]': 300})
    else:
        tiny.edit_json(named, pad_token=None)
        for name in ('config.json', 'generation_config.json'):
            tiny.edit_json(folder / name, pad_token_id=300)
    lm = load(folder)
    assert lm.tokenizer.pad_id == lm.tokenizer.eos_id
    (row,) = lm.tokenizer.encode_batch(['a [PAD] b'], False)
    assert max(row) < 300


def test_a_padding_token_that_another_file_adds_is_the_model_s(tmp_path):
    """The table has a row for it, though tokenizer.json does not have it."""
    folder = tiny.make_checkpoint(tmp_path)
    tiny.edit_json(folder / 'config.json', vocab_size=320)
    tiny.edit_json(folder / 'tokenizer_config.json', pad_token='[PAD]')
    assert Tokenizer.from_folder(folder).pad_id == 2  # its end: no file has one
    tiny.write_json(folder / 'added_tokens.json', {'[PAD]': 300})
    assert Tokenizer.from_folder(folder).pad_id == 300


def test_an_older_folder_names_its_special_tokens_in_their_map(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    named = {f'{kind}_token': None for kind in ('bos', 'eos', 'pad')}
    tiny.edit_json(folder / 'tokenizer_config.json', **named)
    (folder / 'generation_config.json').unlink()
    ids = {f'{kind}_token_id': None for kind in ('bos', 'eos', 'pad')}
    tiny.edit_json(folder / 'config.json', **ids)
    of_map = {'bos_token': tiny.BOS, 'eos_token': {'content': tiny.EOS}}
    tiny.write_json(folder / 'special_tokens_map.json', of_map)
    tokenizer = Tokenizer.from_folder(folder)
    assert (tokenizer.bos_id, tokenizer.eos_ids) == (1, (2,))


def test_a_model_type_with_a_class_of_its_own_is_read_by_it(tmp_path):
    """Qwen 2's class composes accents, whatever tokenizer.json says."""
    folder = tiny.make_checkpoint(tmp_path)
    tiny.edit_json(folder / 'config.json', model_type='qwen2')
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = Tokenizer.from_folder(folder)
    for text in ('e\u0301t\u0301', '1234', 'the river\n\nis'):
        expected = theirs(text).input_ids
        assert ours.encode_batch([text], True) == [expected]


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    folder = tiny_tokenizers.make(tmp_path, 'llama3')
    with pytest.raises(ValueError, match=r'ids up to \d+ but .*vocab_size=300'):
        load(folder)


@pytest.mark.parametrize('rows', [300, 320])
def test_a_misspelt_end_is_refused_also_where_the_table_has_a_row(
    rows, tmp_path
):
    folder = tiny.make_checkpoint(tmp_path)
    tiny.edit_json(folder / 'config.json', vocab_size=rows)
    tiny.edit_json(folder / 'tokenizer_config.json', eos_token='<|imend|>')
    for name in ('PreTrainedTokenizerFast', 'GPT2Tokenizer'):
        tiny.edit_json(folder / 'tokenizer_config.json', tokenizer_class=name)
        with pytest.raises(ValueError, match="eos_token='<|imend|>' is not in"):
            Tokenizer.from_folder(folder)
