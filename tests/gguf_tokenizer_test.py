"""Laws of the tokenizers in GGUF files: their definition, or nothing."""

import itertools

import gguf
import numpy as np
import pytest
import tokenizers

from fedprompt_jax.models import source
from fedprompt_jax.models.gguf_files import convert
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_gguf

SIZE = 340
TEXTS = [
    'the name of the river is not in the passage',
    ' the  name   of    the',
    'the\nriver\n\n\tis',
    "naïve 東京 🙂 isn't it?",
    'Answer. 123 1234567',
    'x',
    '',
    ' ',
]
PIECES = tiny_gguf.sentencepiece(tiny.TEXT, SIZE)
FIRST = 259  # id of the first piece that merges can make
ONE_BIT = 'e\u0301'  # two characters, which compose to one


@pytest.fixture
def checkpoint(tmp_path):
    return tiny_gguf.make_checkpoint(
        tmp_path / 'hf', 'llama_biased', vocab_size=SIZE
    )


def _convert(folder, change=lambda writer: None, **kwargs):
    path = folder.parent / 'x.gguf'
    tiny_gguf.write(path, folder, change=change, **kwargs)
    return Tokenizer.from_folder(
        convert.convert(path, folder.parent / 'cache' / 'out')
    )


def _as_defined(text, pieces, prefix):
    """SentencePiece's BPE: again and again the best pair, the first of ties."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    symbols = list(text.replace(' ', '▁'))
    symbols = ['▁', *symbols] if prefix and symbols else symbols
    while True:
        pairs = [a + b for a, b in itertools.pairwise(symbols)]
        known = [i for i, x in enumerate(pairs) if ids.get(x, 0) >= FIRST]
        if not known:
            break
        i = max(known, key=lambda i: (pieces[pairs[i]], -i))
        symbols[i : i + 2] = [pairs[i]]
    out = []
    for symbol in symbols:
        raw = [f'<0x{byte:02X}>' for byte in symbol.encode()]
        out += [ids[s] for s in ([symbol] if symbol in ids else raw)]
    return out


@pytest.mark.parametrize('prefix', [True, False])
def test_sentencepiece_is_its_definition(checkpoint, prefix):
    tokenizer = _convert(
        checkpoint, lambda w: w.add_add_space_prefix(prefix), pieces=PIECES
    )
    rows = tokenizer.encode_batch(TEXTS, False)
    assert rows == [_as_defined(text, PIECES, prefix) for text in TEXTS]
    assert tokenizer.decode_batch(rows) == TEXTS
    # The definition is tested on words that need several merges.
    assert len(rows[0]) < len(TEXTS[0]) / 3


def test_the_best_piece_is_made_first(checkpoint):
    rng = np.random.default_rng(0)
    words = [
        ''.join(rng.choice(list('abcdefghij'), n))
        for n in rng.integers(3, 12, 400)
    ]
    # Most files have the best piece first, a merged vocabulary has not.
    items = list(tiny_gguf.sentencepiece(' '.join(words[:200]), SIZE).items())
    order = FIRST + rng.permutation(len(items) - FIRST)
    pieces = dict(items[:FIRST] + [items[i] for i in order])
    tokenizer = _convert(checkpoint, pieces=pieces)
    rows = tokenizer.encode_batch(words, False)
    expected = [_as_defined(word, pieces, True) for word in words]
    assert rows == expected
    # By age of the pieces, which is how other BPEs merge, some would differ.
    age = {piece: -i for i, piece in enumerate(pieces)}
    assert expected != [_as_defined(word, age, True) for word in words]


def test_merges_make_no_byte_piece(checkpoint):
    made = ('<0', '<0x', '<0x4', '1>', *'<0x41>▁')
    extra = {piece: -float(i) for i, piece in enumerate(made, 1)}
    pieces = dict(list(PIECES.items())[:FIRST]) | extra
    pieces |= {f'filler {i}': -99.0 for i in range(SIZE - len(pieces))}
    tokenizer = _convert(checkpoint, pieces=pieces)
    (row,) = tokenizer.encode_batch(['<0x41>'], False)
    assert row == _as_defined('<0x41>', pieces, True)
    assert tokenizer.decode(row) == '<0x41>'


def test_sentencepiece_has_a_prefix_and_bos_unless_told(checkpoint):
    tokenizer = _convert(checkpoint, pieces=PIECES)
    (row,) = tokenizer.encode_batch(['the'], True)
    assert row == [1, *_as_defined('the', PIECES, prefix=True)]


def test_bos_is_left_out_where_the_file_says_so(checkpoint):
    tokenizer = _convert(
        checkpoint, lambda w: w.add_add_bos_token(False), pieces=PIECES
    )
    assert not tokenizer.adds_bos


def test_user_defined_pieces_come_before_all_others(checkpoint):
    pieces = dict(list(PIECES.items())[: SIZE - 2])
    pieces |= dict.fromkeys(('  ', '\n'), tiny_gguf.USER_DEFINED)
    tokenizer = _convert(
        checkpoint, lambda w: w.add_add_space_prefix(False), pieces=pieces
    )
    (row,) = tokenizer.encode_batch(['the  name\nof'], False)
    words = [_as_defined(w, PIECES, False) for w in ('the', 'name', 'of')]
    assert row == [*words[0], SIZE - 2, *words[1], SIZE - 1, *words[2]]
    assert tokenizer.decode(row) == 'the  name\nof'


@pytest.mark.parametrize(
    'change, message',
    [
        (
            lambda p: dict.fromkeys(p, -1000.0) | {'<unk>': 0.0},
            'scores do not tell the pieces apart',
        ),
        (
            lambda p: {k.replace('<0x0A>', 'newline'): p[k] for k in p},
            'not all 256 byte pieces',
        ),
    ],
)
def test_unclear_pieces_are_refused(checkpoint, change, message):
    with pytest.raises(ValueError, match=message):
        _convert(checkpoint, pieces=change(PIECES))
    assert not (checkpoint.parent / 'cache').exists()


@pytest.mark.parametrize(
    'key, value', [('precompiled_charsmap', [1]), ('remove_extra', True)]
)
def test_other_normalisations_are_refused(checkpoint, key, value):
    def change(writer):
        if key == 'remove_extra':
            writer.add_remove_extra_whitespaces(value)
        else:
            writer.add_array(f'tokenizer.ggml.{key}', value)

    with pytest.raises(ValueError, match=f'{key}.* is not supported'):
        _convert(checkpoint, change, pieces=PIECES)


@pytest.mark.parametrize('model', ['bert', 't5'])
def test_other_models_are_refused(checkpoint, model):
    def change(writer):
        writer.add_tokenizer_model = lambda _: gguf.GGUFWriter.add_string(
            writer, 'tokenizer.ggml.model', model
        )

    with pytest.raises(ValueError, match=f"model='{model}' is not supported"):
        _convert(checkpoint, change)


# Byte-level BPE: where a text is split is the model's own choice.


@pytest.mark.parametrize(
    'pre, digits, newlines, composed',
    [
        ('gpt-2', ['1234'], ['!', 'ĊĊ'], False),
        ('smollm', ['1', '2', '3', '4'], ['!', 'ĊĊ'], False),
        ('olmo', ['1234'], ['!', 'ĊĊ'], True),
        ('mpt', ['1234'], ['!', 'ĊĊ'], True),
        ('llama-bpe', ['123', '4'], ['!ĊĊ'], False),
        ('qwen2', ['1', '2', '3', '4'], ['!ĊĊ'], True),
    ],
)
def test_text_is_split_as_the_model_does(
    tmp_path, pre, digits, newlines, composed
):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    tokenizer = _convert(folder, pre=pre)
    split = tokenizer.backend.pre_tokenizer.pre_tokenize_str
    assert [piece for piece, _ in split('1234')] == digits
    assert [piece for piece, _ in split('!\n\n')] == newlines
    assert [piece for piece, _ in split("I'll")] == ['I', "'ll"]
    same = tokenizer.encode_batch([ONE_BIT], False) == (
        tokenizer.encode_batch(['é'], False)
    )
    assert same == composed
    assert tokenizer.adds_bos == (pre == 'llama-bpe')


def test_llama3_takes_words_of_the_vocabulary_whole(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    _convert(folder, pre='llama-bpe')
    stored = tiny.read_json(tmp_path / 'cache' / 'out' / 'tokenizer.json')
    assert stored['model']['ignore_merges'] is True


def test_the_end_of_a_turn_ends_a_text_as_well(tmp_path):
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    assert _convert(folder, lambda w: w.add_eot_token_id(0)).eos_ids == (2, 0)


def test_every_control_token_is_special(tmp_path):
    """Also one that the file gives no role."""
    folder = tiny.make_checkpoint(tmp_path / 'hf')
    tokenizer = _convert(folder)
    text = f'<|endoftext|>the{tiny.EOS}'
    assert tokenizer.with_special_tokens(text) == [0, 'the', 2]
    (row,) = tokenizer.encode_batch(['<|endoftext|>'], False)
    assert 0 not in row
    assert tokenizer.decode([0, *row, 2]) == '<|endoftext|>'


def test_a_converted_tokenizer_is_split_as_its_file_says(tmp_path):
    """Not as transformers splits the texts of all models of that type."""
    checkpoint = tiny_gguf.make_checkpoint(tmp_path / 'hf', 'qwen2')
    for pre in ('qwen2', 'gpt-2'):
        path = tiny_gguf.write(tmp_path / f'{pre}.gguf', checkpoint, pre=pre)
        folder = source.resolve(str(path), tmp_path / 'cache')
        backend = tokenizers.Tokenizer.from_file(str(folder / 'tokenizer.json'))
        read = Tokenizer.from_folder(folder).backend
        assert str(read.pre_tokenizer) == str(backend.pre_tokenizer)
