"""Laws of the special tokens of GGUF files: known ids, or a sentence."""

import logging

import pytest
import transformers

from fedprompt_jax.models import source
from fedprompt_jax.models.gguf_files import convert
from tests import tiny, tiny_gguf

PIECES = tiny_gguf.sentencepiece(tiny.TEXT)
KEY = 'tokenizer.ggml.{}_token_id'
NO_TOKENS = (tiny.VOCAB_SIZE, 2**32 - 1, -1)


@pytest.fixture
def checkpoint(tmp_path):
    return tiny.make_checkpoint(tmp_path / 'hf', tied=False)


def _write(checkpoint, metadata, **kwargs):
    path = checkpoint.parent / 'x.gguf'
    return tiny_gguf.write(path, checkpoint, metadata=metadata, **kwargs)


def _load(path):
    """The tokenizer, which transformers loads too."""
    assert source.check(str(path)) == []
    folder = source.resolve(str(path), path.parent / 'cache')
    tokenizer = source.load(folder, 'float32').tokenizer
    other = transformers.AutoTokenizer.from_pretrained(folder)
    assert other.eos_token_id == tokenizer.eos_id
    assert other.bos_token_id == tokenizer.bos_id
    row = other('the name').input_ids
    assert tokenizer.encode_batch(['the name'], True) == [row]
    return tokenizer


@pytest.mark.parametrize('i', NO_TOKENS)
@pytest.mark.parametrize('kind', ['padding', 'bos', 'eot', 'unknown', 'mask'])
def test_an_id_that_is_no_token_counts_as_absent(checkpoint, caplog, kind, i):
    def facts(path):
        t = _load(path)
        return t.eos_ids, t.pad_id, t.bos_id, t.adds_bos, t.mask_id

    absent = facts(_write(checkpoint, {KEY.format(kind): None}))
    with caplog.at_level(logging.WARNING):
        path = _write(checkpoint, {KEY.format(kind): i})
        assert facts(path) == absent
    (warning,) = caplog.messages
    assert f'{path}: {KEY.format(kind)}={i} is no token' in warning


def test_a_word_that_is_not_in_use_is_no_token(checkpoint):
    words = tiny.train_tokenizer().get_vocab_size()
    types = [tiny_gguf.gguf.TokenType.NORMAL] * words
    types[299] = tiny_gguf.gguf.TokenType.UNUSED
    path = _write(
        checkpoint,
        {
            'tokenizer.ggml.token_type': [int(t) for t in types],
            KEY.format('padding'): 299,
            'tokenizer.ggml.merges': ['e r'],
        },
    )
    tokenizer = _load(path)
    assert tokenizer.pad_id == tokenizer.eos_id


def test_a_text_does_not_end_with_a_word_that_is_not_in_use(checkpoint):
    words = tiny.train_tokenizer().get_vocab_size()
    types = [tiny_gguf.gguf.TokenType.NORMAL] * words
    types[299] = tiny_gguf.gguf.TokenType.UNUSED
    metadata = {
        'tokenizer.ggml.token_type': [int(t) for t in types],
        KEY.format('eos'): 299,
        'tokenizer.ggml.merges': ['e r'],
    }
    path = _write(checkpoint, metadata)
    _assert_refused(path, 'eos_token_id=299 is no token')


@pytest.mark.parametrize('i', [None, *NO_TOKENS])
def test_a_text_must_have_an_end(checkpoint, i):
    path = _write(checkpoint, {KEY.format('eos'): i})
    _assert_refused(path, 'eos_token_id.*nothing says where a text ends')


@pytest.mark.parametrize('i', [None, *NO_TOKENS])
def test_a_start_that_is_added_must_be_known(checkpoint, i):
    for pre, adds in (('smollm', True), ('llama-bpe', None)):
        metadata = {
            KEY.format('bos'): i,
            'tokenizer.ggml.add_bos_token': adds,
        }
        path = _write(checkpoint, metadata, pre=pre)
        _assert_refused(path, 'bos_token_id.*every text starts with it')


@pytest.mark.parametrize('kind', ['bos', 'eos'])
@pytest.mark.parametrize('i', [None, *NO_TOKENS])
def test_sentencepiece_has_llama_cpps_defaults(checkpoint, caplog, kind, i):
    with caplog.at_level(logging.WARNING):
        path = _write(checkpoint, {KEY.format(kind): i}, pieces=PIECES)
        tokenizer = _load(path)
    assert (tokenizer.bos_id, tokenizer.eos_ids) == (1, (2,))
    (warning,) = caplog.messages
    assert f'{path}: {KEY.format(kind)}' in warning
    assert 'is used, its default' in warning


@pytest.mark.parametrize('kind', ['bos', 'eos'])
def test_a_default_is_the_word_that_it_must_be(checkpoint, kind):
    """In Gemma's vocabulary 1 is the end of a text and 2 its start."""
    gemma = {'<s>': '<eos>', '</s>': '<bos>'}
    pieces = {gemma.get(piece, piece): PIECES[piece] for piece in PIECES}
    path = _write(checkpoint, {KEY.format(kind): None}, pieces=pieces)
    _assert_refused(path, f'{kind}_token_id is missing')


def _assert_refused(path, message):
    with pytest.raises(ValueError, match=message) as error:
        convert.convert(path, path.parent / 'cache' / 'out')
    assert str(path) in str(error.value)
    assert source.check(str(path)) == [str(error.value)]
    assert not (path.parent / 'cache').exists()
