"""Laws of the tokenizer: the model's own ids, and nothing added unasked."""

from concurrent import futures
import subprocess
import sys

import pytest
import tokenizers
from tokenizers import processors

from fedprompt_jax.models import tokenizer_files
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny

TEXTS = [
    "Hello 123 world, it's 2026!",
    'naïve 東京 🙂\n\n  tab\t end ',
    '',
    'Answer the question about the passage.',
]


@pytest.fixture
def folder(tmp_path):
    return tiny.make_checkpoint(tmp_path)


def _store(folder, change):
    path = str(folder / 'tokenizer.json')
    backend = tokenizers.Tokenizer.from_file(path)
    change(backend)
    backend.save(path)


def _add_bos_and_eos(backend):
    pairs = [(t, backend.token_to_id(t)) for t in (tiny.BOS, tiny.EOS)]
    backend.post_processor = processors.TemplateProcessing(
        single=f'{tiny.BOS} $A {tiny.EOS}', special_tokens=pairs
    )


def test_decoding_undoes_encoding(folder):
    tokenizer = Tokenizer.from_folder(folder)
    rows = tokenizer.encode_batch(TEXTS, bos=True)
    assert tokenizer.decode_batch(rows) == TEXTS
    assert [tokenizer.decode(row) for row in rows] == TEXTS


def test_special_ids(folder):
    tokenizer = Tokenizer.from_folder(folder)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, 3)
    assert tokenizer.eos_ids == (2,)
    assert not tokenizer.adds_bos
    assert tokenizer.vocab_size == tiny.VOCAB_SIZE


def test_special_tokens_are_not_in_the_text(folder):
    tokenizer = Tokenizer.from_folder(folder)
    row = tokenizer.encode_batch(['the river'], bos=False)[0]
    assert tokenizer.decode([1, *row, 2, 3, 3]) == 'the river'


def test_bos_comes_only_where_the_model_adds_it_and_eos_never(folder):
    plain = Tokenizer.from_folder(folder).encode_batch(TEXTS, bos=True)
    tiny.edit_json(folder / 'tokenizer_config.json', add_bos_token=None)
    _store(folder, _add_bos_and_eos)
    tokenizer = Tokenizer.from_folder(folder)
    assert tokenizer.adds_bos
    assert tokenizer.encode_batch(TEXTS, bos=False) == plain
    assert tokenizer.encode_batch(TEXTS, bos=True) == [[1, *r] for r in plain]
    # As in transformers, where tokenizer_config.json says otherwise.
    tiny.edit_json(folder / 'tokenizer_config.json', add_bos_token=False)
    assert Tokenizer.from_folder(folder).adds_bos


def test_stored_truncation_and_padding_are_off(folder):
    plain = Tokenizer.from_folder(folder)
    _store(folder, lambda b: (b.enable_truncation(3), b.enable_padding()))
    stored = Tokenizer.from_folder(folder)
    rows = stored.encode_batch(TEXTS, bos=False)
    assert rows == plain.encode_batch(TEXTS, bos=False)
    assert stored.fingerprint == plain.fingerprint


def test_missing_padding_token_is_the_end_of_text_and_said(folder, caplog):
    tiny.edit_json(folder / 'tokenizer_config.json', pad_token=None)
    tiny.edit_json(folder / 'generation_config.json', pad_token_id=None)
    tiny.edit_json(folder / 'config.json', pad_token_id=-1)
    with caplog.at_level('INFO', logger='fedprompt_jax'):
        assert Tokenizer.from_folder(folder).pad_id == 2
    assert 'padding with the end-of-text token 2' in caplog.text


def test_missing_end_of_text_is_refused(folder):
    tiny.edit_json(folder / 'tokenizer_config.json', eos_token=None)
    assert Tokenizer.from_folder(folder).eos_id == 2
    tiny.edit_json(folder / 'generation_config.json', eos_token_id=None)
    assert Tokenizer.from_folder(folder).eos_id == 2
    tiny.edit_json(folder / 'config.json', eos_token_id=None)
    with pytest.raises(ValueError, match='no end-of-text token'):
        Tokenizer.from_folder(folder)


def test_every_end_of_generation_is_known_the_tokenizers_own_first(folder):
    tiny.edit_json(folder / 'generation_config.json', eos_token_id=[0, 2, 1])
    tiny.edit_json(folder / 'config.json', eos_token_id=17)
    tokenizer = Tokenizer.from_folder(folder)
    assert (tokenizer.eos_id, tokenizer.eos_ids) == (2, (2, 0, 1))


def test_an_end_outside_the_vocabulary_is_ignored_with_a_warning(
    folder, caplog
):
    tiny.edit_json(folder / 'generation_config.json', eos_token_id=[2, 300])
    assert Tokenizer.from_folder(folder).eos_ids == (2,)
    assert 'eos_token_id=300, which is not in the vocabulary' in caplog.text


def test_a_misspelt_end_is_refused(folder):
    wrong = {'content': '</s>', 'special': True}
    tiny.edit_json(folder / 'tokenizer_config.json', eos_token=wrong)
    with pytest.raises(ValueError, match="eos_token='</s>' is not in"):
        Tokenizer.from_folder(folder)


def test_no_tokenizer_is_refused(folder):
    (folder / 'tokenizer.json').unlink()
    with pytest.raises(ValueError, match=r'neither tokenizer\.json nor'):
        Tokenizer.from_folder(folder)


def test_fingerprint_knows_vocabulary_and_special_ids(folder):
    one = Tokenizer.from_folder(folder).fingerprint
    assert Tokenizer.from_folder(folder).fingerprint == one
    tiny.edit_json(folder / 'tokenizer_config.json', eos_token='<|pad|>')
    two = Tokenizer.from_folder(folder).fingerprint
    _store(folder, lambda b: b.add_special_tokens(['<new>']))
    three = Tokenizer.from_folder(folder).fingerprint
    assert len({one, two, three}) == 3


def test_threads_share_it(folder):
    tokenizer = Tokenizer.from_folder(folder)
    texts = [f'{i} the name of the river {i}' for i in range(50)]
    expected = tokenizer.encode_batch(texts, bos=True)
    with futures.ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(tokenizer.encode_batch, texts, True) for _ in range(8)
        ]
    assert all(job.result() == expected for job in jobs)


def test_tokenizer_is_read_without_jax_or_transformers(folder):
    code = (
        'import sys; from fedprompt_jax.models.tokenizer import Tokenizer; '
        f'Tokenizer.from_folder({str(folder)!r}); '
        "print(sorted({'jax', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, check=True, text=True
    )
    assert done.stdout == '[]\n'


def test_of_two_special_tokens_at_a_place_the_longer_is_meant(folder):
    _store(folder, lambda b: b.add_special_tokens(['<|end', '<|end|>']))
    tokenizer = Tokenizer.from_folder(folder)
    short, long = (
        tokenizer.backend.token_to_id(word) for word in ('<|end', '<|end|>')
    )
    text = 'a<|end|>b<|end c'
    found = tokenizer.with_special_tokens(text)
    assert found == ['a', long, 'b', short, ' c']


def test_words_that_were_added_later_are_not_in_the_vocabulary_s_size(folder):
    """They may lie beyond the model's table, and need not be special."""
    _store(folder, lambda b: b.add_tokens(['<tool>']))
    assert Tokenizer.from_folder(folder).vocab_size == tiny.VOCAB_SIZE


def test_where_transformers_fails_tokenizer_json_is_used_and_it_is_said(
    folder, monkeypatch, caplog
):
    def fail(folder):
        raise KeyError('a file that no class reads')

    expected = Tokenizer.from_folder(folder).fingerprint
    name = {'tokenizer_class': 'GPT2TokenizerFast'}
    tiny.edit_json(folder / 'tokenizer_config.json', **name)
    monkeypatch.setattr(tokenizer_files, '_by_transformers', fail)
    assert Tokenizer.from_folder(folder).fingerprint == expected
    assert 'tokenizer.json is used as it is' in caplog.text


def test_pieces_are_without_their_space_marks(folder):
    tokenizer = Tokenizer.from_folder(folder)
    pieces = tokenizer.pieces(' the river  is 東')
    assert pieces[0] == 'the' and 'Ġ' not in ''.join(pieces)
    assert '' not in pieces
    assert ''.join(pieces[:-3]) == 'theriveris'  # the last are bytes


def test_a_named_token_of_the_vocabulary_is_special(folder):
    """Though tokenizer.json has it among its ordinary words."""
    path = folder / 'tokenizer.json'
    raw = tiny.read_json(path)
    raw['added_tokens'] = raw['added_tokens'][:2]  # without end and padding
    tiny.write_json(path, raw)
    tokenizer = Tokenizer.from_folder(folder)
    assert tokenizer.with_special_tokens(f'a{tiny.EOS}') == ['a', 2]
    assert tokenizer.decode([67, 2, 3]) == tokenizer.decode([67])
