"""ROUGE-L tells texts of every script apart, and knows each as itself."""

import itertools

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from fedprompt_jax.data.sni_task import Instance
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tables.tasks import bare
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.evaluation import text_scores, units
from fedprompt_jax.models.tokenizer import Tokenizer

# Two answers each, which differ.
ANSWERS = {
    'Arabic': ('مرحبا بالعالم', 'مع السلامة'),
    'Bengali': ('হ্যাঁ', 'না'),
    'Chinese': ('差', '好'),
    'Cyrillic': ('нет', 'да'),
    'Greek': ('ναι', 'όχι'),
    'Hebrew': ('שלום', 'תודה'),
    'Hindi': ('नमस्ते दुनिया', 'अलविदा दुनिया'),
    'Japanese': ('はい', 'いいえ'),
    'Korean': ('좋다', '나쁘다'),
    'Tamil': ('ஆம்', 'இல்லை'),
    'Thai': ('ใช่', 'ไม่'),
    'accents': ('sí', 'sé'),
    'combining accents': ('la\u0300', 'la\u0301'),
    'German': ('Maß', 'Masse'),
    'Turkish': ('sınır', 'sinir'),
    'emoji': ('😀', '😢'),
    'emoji behind a word': ('ok 👍', 'ok 👎'),
    'signs': ('+', '-'),
    'dashes': ('—', '…'),
    'currencies': ('5 €', '5 £'),
    'full width': ('ＡＢ', 'ＡＣ'),
    'powers': ('m²', 'm³'),
    'mixed': ('C++ 是', 'C++ 否'),
}


def score(prediction, references, languages=(), tokenizer=None, choices=()):
    """ROUGE-L of an instance whose task declares these languages."""
    record = {'outputs': references, 'choices': choices}
    task = {'output_language': languages}
    tokenizer = tokenizer or vocabulary('a')
    used = units.units(task, record, tokenizer)
    return units.rouge_l(prediction, references, used, tokenizer)


def vocabulary(words: str, unknown: str | None = '<unk>') -> Tokenizer:
    """A tokenizer that knows some characters; others are unknown or lost."""
    tokens = [*([unknown] if unknown else []), *words]
    ids = {token: i for i, token in enumerate(tokens)}
    model = models.BPE(ids, [], unk_token=unknown)
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return Tokenizer(backend, 0, 0, None, False, (0,))


@pytest.mark.parametrize('script', ANSWERS)
def test_a_text_is_worth_100_against_itself_and_no_other(script):
    for a, b in itertools.permutations(ANSWERS[script]):
        assert score(a, [a]) == 1
        assert score(b, [a]) < 1
        assert score(b, [a, b]) == 1
        assert score('', [a]) == 0
        assert score(b, [a], choices=(a, b)) < 1


@pytest.mark.parametrize(
    'text', ['the cats sat', 'Yes!', '$5, or “so” — no', '50%', 'x_1', "it's"]
)
@pytest.mark.parametrize('languages', [(), ('English',)])
def test_words_that_rouge_sees_are_its_own_score(text, languages):
    for prediction in (text, text.upper(), 'a cat sat', '', 'да'):
        expected = text_scores.rouge_l(prediction, [text])
        assert score(prediction, [text], languages) == expected


def test_declared_english_is_sni_s_score_wherever_it_has_words():
    references = ['naïve café', '好', '+']
    used = units.units(
        {'output_language': ('English',)}, {'outputs': references}, None
    )
    assert used == [units.WORDS, units.CHARACTERS, units.CHARACTERS]
    words = text_scores.rouge_l('a café', ['naïve café'])
    assert 0 < score('a café', references, ('English',)) == words < 1
    for sign in '好+':
        assert score(sign, references, ('English',)) == 1
    assert score('-', ['+'], ('English',)) == 0
    assert score('', ['', ' '], ('English',)) == 1  # nothing is the answer
    assert score('no', [''], ('English',)) == score('no', ['']) == 0


def test_other_languages_are_compared_by_the_model_s_tokens(lm):
    for a, b in (('川の名前', '川の水'), ('sí', 'sé')):
        pieces = text_scores.rouge_l(b, [a], lm.tokenizer.pieces)
        assert score(b, [a], ('Japanese',), lm.tokenizer) == pieces
        both = ('Japanese', 'English')
        assert score(b, [a], both, lm.tokenizer) == pieces < 1
        assert score(a, [a], both, lm.tokenizer) == 1


@pytest.mark.parametrize('unknown', ['<unk>', None])
def test_texts_that_the_vocabulary_lacks_are_not_equal(unknown):
    tokenizer = vocabulary('abc川', unknown)
    assert score('水', ['木'], ('Japanese',), tokenizer) == 0
    assert score('木', ['木'], ('Japanese',), tokenizer) == 1
    assert score('川木', ['川水'], ('Japanese',), tokenizer) == 1 / 2
    assert score('木', ['川', '水'], ('Japanese',), tokenizer) == 0


def test_both_ways_to_write_an_accent_are_equal():
    assert score('cafe\u0301', ['caf\xe9']) == 1
    assert score('CAFÉ', ['café']) == 1


@pytest.mark.parametrize(
    'choices', [('-1', '+1'), ('C', 'C++'), ('run', 'runs')]
)
def test_choices_with_the_same_words_are_told_apart(choices):
    for right, wrong in itertools.permutations(choices):
        assert score(wrong, [right], choices=choices) < 1
        assert score(right, [right], choices=choices) == 1


def test_a_choice_in_another_script_decides():
    """Else two instances of a task are compared in different units."""
    task, record = {'output_language': ()}, {'outputs': ['yes']}
    for choices, unit in (
        (('yes', 'no'), units.WORDS),
        (('yes', 'да'), units.CHARACTERS),
        (('yes', '+'), units.CHARACTERS),
    ):
        chosen = record | {'choices': choices}
        assert units.units(task, chosen, vocabulary('a')) == [unit]


def test_each_reference_is_compared_in_its_unit():
    references = ['one', '+']
    used = [units.WORDS, units.CHARACTERS]
    for order in (1, -1):
        found = units.rouge_l(
            '+', references[::order], used[::order], vocabulary('a')
        )
        assert found == 1


def test_characters_by_hand():
    assert text_scores.characters(' A b\u00a0\nÇ ') == ['a', 'b', 'ç']


def test_exact_match_of_signs_is_to_the_letter():
    assert units.exact_match(' + ', ['+']) == 1
    assert units.exact_match('-', ['+']) == units.exact_match('', ['+']) == 0
    assert units.exact_match('-', ['+', '-']) == 1
    assert units.exact_match('Plus.', ['+', 'plus']) == 1
    assert units.exact_match('', ['']) == units.exact_match('.', ['']) == 1


@pytest.fixture
def census(lm, tmp_path):
    """Of three tasks with three instances each, references between bars."""

    def task(name, answers, *languages):
        found = bare(name, (Instance(a, 'q', a.split('|')) for a in answers))
        object.__setattr__(found, 'output_language', languages)
        return found

    tasks = [
        task('unknown', ['yes', 'да', 'ok 😀']),
        task('english', ['yes', 'café', 'plus|+'], 'English'),
        task('french', ['oui', 'été', 'non'], 'French'),
    ]
    store = open_store(
        Source('units', 'units', lambda: tasks),
        lm.tokenizer,
        Template('{input}', '\n', 64, 16),
        tmp_path,
    )
    return units.census(store, np.arange(len(store)), lm.tokenizer)


def test_a_warning_counts_what_is_not_the_paper_s_score(census):
    assert census.counts == {'words': 3, 'pieces': 3, 'characters': 3}
    pieces, characters = units.warnings(census)
    assert '3 of 9 scored instances' in pieces and '(french)' in pieces
    assert '3 of 9 scored instances (unknown, english)' in characters
    assert 'not comparable' in characters
    assert units.settings(census)['rouge_l_units'] == census.counts


def test_there_is_no_warning_of_words(census):
    alone = units.Census({'words': 9, 'pieces': 0, 'characters': 0}, {})
    assert units.warnings(alone) == []
    assert units.settings(alone)['rouge_l_units'] == {'words': 9}
