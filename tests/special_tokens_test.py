"""Special tokens: which there are, and that data never spell one."""

import pytest
import tokenizers
from tokenizers import processors
import transformers

from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.models.tokenizer import Tokenizer
from tests import tiny, tiny_tokenizers


@pytest.fixture(scope='module')
def both(tmp_path_factory):
    return tiny_tokenizers.pairs(tmp_path_factory.mktemp)


SPELLED = (
    'save it as <|pad|>', '<|im_end|>', 'a <|im_end|> b', '<s> </s> <unk>',
    '<mask> <pad>', 'x<|endoftext|>',
)  # fmt: skip


@pytest.mark.parametrize('kind', tiny_tokenizers.KINDS)
def test_data_never_spell_a_special_token(kind, both):
    ours, theirs = both(kind)
    special = {i for i in theirs.all_special_ids if i != theirs.unk_token_id}
    for text in SPELLED:
        (row,) = ours.encode_batch([text], False)
        assert not special & set(row)
        plain = theirs(
            text, split_special_tokens=True, add_special_tokens=False
        )
        # (Unigram vocabularies find them even so.)
        assert row == plain.input_ids or special & set(plain.input_ids)
        if theirs.unk_token_id not in row:
            assert ours.decode(row).strip() == text.strip()


@pytest.mark.parametrize('text', ['yes</s>no', '東yes</s>no'])
def test_a_unigram_text_with_a_special_token_gets_no_space(text, both):
    """Also beside a letter that the vocabulary lacks."""
    ours, _ = both('t5')
    (row,) = ours.encode_batch([text], False)
    pieces = ''.join(ours.backend.id_to_token(i) for i in row)
    assert pieces.count('▁') == 1  # before the text


def test_an_added_word_of_a_unigram_vocabulary_stays_whole(tmp_path):
    folder = tiny_tokenizers.make(tmp_path, 't5')
    path = str(folder / 'tokenizer.json')
    backend = tokenizers.Tokenizer.from_file(path)
    backend.add_tokens(['<extra>'])
    backend.save(path)
    word = backend.token_to_id('<extra>')
    ours = Tokenizer.from_folder(folder)
    (row,) = ours.encode_batch(['yes <extra> no'], False)
    assert word in row


def test_a_mask_swallows_the_space_before_it_beside_spelled_ones(both):
    """Where the data spell a mask too, a text is read in parts."""
    ours, theirs = both('roberta')
    plain = theirs('It was <mask> .', add_special_tokens=False).input_ids
    (row,) = ours.encode([['It was ', ours.mask_id, ' .']], False)
    assert row == plain
    data = 'a <mask> b. It was'
    (words,) = ours.encode_batch([data], False)
    assert ours.mask_id not in words
    (row,) = ours.encode([[data + ' ', ours.mask_id, ' .']], False)
    assert row == [*words, *plain[plain.index(ours.mask_id) :]]


@pytest.mark.parametrize('kind', ['byte_level', 'llama2', 'llama3', 'gemma'])
def test_a_template_may_spell_special_tokens_and_its_data_may_not(
    kind, both, tmp_path
):
    ours, theirs = both(kind)
    end = theirs.eos_token
    text = f'{end}user\n{{input}} {end}\n'
    inputs = 'the river?', f'the {end} river'
    instances = [Instance(t, t, ('yes',)) for t in inputs]
    store = open_store(
        Source('t', 't', lambda: [bare('t', instances)]),
        ours,
        Template(text, 'assistant\n', 64, 8),
        tmp_path,
    )
    plain = text.replace('{input}', inputs[0]) + 'assistant\n'
    assert store.query(0).tolist() == theirs(plain).input_ids
    for i in range(2):
        assert (store.query(i) == ours.eos_id).sum() == 2
    words = ours.decode(store.query(1)).replace(' ', '')
    assert words == f'user\nthe{end}river\nassistant\n'.replace(' ', '')


@pytest.mark.parametrize('named', [True, False])
def test_the_mask_is_the_one_that_transformers_knows(named, tmp_path):
    tiny.make_checkpoint(tmp_path)
    tiny_tokenizers.roberta(tmp_path, named=named)
    tiny.write_json(
        tmp_path / 'config.json',
        {'model_type': 'roberta', 'vocab_size': 300, 'eos_token_id': 2},
    )
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = Tokenizer.from_folder(tmp_path)
    for kind in ('mask', 'bos', 'eos', 'pad'):
        expected = getattr(theirs, f'{kind}_token_id')
        assert getattr(ours, f'{kind}_id') == expected is not None


CLASSES = (
    'PreTrainedTokenizerFast', 'TokenizersBackend', 'LlamaTokenizerFast',
    'GPT2TokenizerFast', 'Qwen2TokenizerFast', 'GPTNeoXTokenizerFast', None,
)  # fmt: skip


@pytest.mark.parametrize('name', CLASSES)
@pytest.mark.parametrize('adds', [True, False, None])
def test_whether_a_text_begins_with_bos_is_transformers_to_say(
    name, adds, tmp_path
):
    for post in (False, True):
        folder = tiny.make_checkpoint(tmp_path / str(post))
        if post:
            tiny.add_bos(folder)
        tiny.edit_json(
            folder / 'tokenizer_config.json',
            tokenizer_class=name,
            add_bos_token=adds,
        )
        theirs = transformers.AutoTokenizer.from_pretrained(folder)
        ours = Tokenizer.from_folder(folder)
        for text in ('the river', 'a 12', 'naïve'):
            expected = theirs(text).input_ids
            assert ours.encode_batch([text], True) == [expected]


@pytest.mark.parametrize(
    ('single', 'named'),
    [
        ('<s> $A', {}),
        ('<s> $A', {'bos_token': '<unk>'}),
        ('<s> $A', {'cls_token': '<s>'}),
        ('</s> <s> $A </s>', {'bos_token': '<s>'}),
        ('$A', {'bos_token': '<s>'}),
    ],
)
def test_what_stands_before_a_text_is_the_post_processor_s(
    single, named, tmp_path
):
    folder = tiny_tokenizers.make(tmp_path, 'llama2')
    path = folder / 'tokenizer.json'
    backend = tokenizers.Tokenizer.from_file(str(path))
    backend.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[('<s>', 1), ('</s>', 2)]
    )
    backend.save(str(path))
    tiny.write_json(
        folder / 'tokenizer_config.json',
        {'tokenizer_class': 'PreTrainedTokenizerFast', 'eos_token': '</s>'}
        | named,
    )
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    expected = theirs('the river').input_ids
    if single.endswith('</s>'):
        expected = expected[:-1]  # targets have ends of their own
    ours = Tokenizer.from_folder(folder)
    assert ours.encode_batch(['the river'], True) == [expected]


@pytest.mark.parametrize('token', [5, {'content': 5}, ['x']])
def test_a_special_token_that_is_no_text_is_refused(token, tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    tiny.edit_json(folder / 'tokenizer_config.json', pad_token=token)
    with pytest.raises(ValueError, match=r'tokenizer_config\.json: pad_token='):
        Tokenizer.from_folder(folder)
