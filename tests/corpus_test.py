"""Laws of the embedded corpus."""

from collections import Counter
import hashlib
import importlib
import json
import os
from pathlib import Path
import re
import subprocess
import sys

import pytest

from fedprompt_jax.data import corpus
from fedprompt_jax.data.corpus import english, numerals, registry
from fedprompt_jax.data.corpus.tasks import FAMILIES
from fedprompt_jax.data.corpus.words import (
    adjectives,
    misspellings,
    opposites,
    synonyms,
)
from fedprompt_jax.data.corpus.words.scenes import ACTIONS
from fedprompt_jax.data.corpus.words.stories import STORIES
from fedprompt_jax.data.corpus.words.verbs import IRREGULAR, REGULAR, VERBS

TASKS = corpus.generate()
LISTS_OF_STRINGS = english.words(
    'Contributors Source URL Categories Reasoning Definition Input_language '
    'Output_language Instruction_language Domains'
)
KEYS = {
    *LISTS_OF_STRINGS,
    'Positive Examples',
    'Negative Examples',
    'Instances',
    'Instance License',
}


def instances(name: str) -> list[tuple[str, list[str]]]:
    """The (input, references) pairs of the task whose name ends so."""
    task = next(t for key, t in TASKS.items() if key.split('_', 1)[1] == name)
    return [(x['input'], x['output']) for x in task['Instances']]


def test_there_are_many_types_tasks_and_instances():
    types = Counter(task['Categories'][0] for task in TASKS.values())
    assert len(types) >= 16
    assert min(types.values()) >= 3
    for name, task in TASKS.items():
        inputs = [x['input'] for x in task['Instances']]
        assert len(set(inputs)) == len(inputs) >= 200, name


def test_a_quarter_of_the_tasks_have_several_references():
    several = [
        any(len(x['output']) > 1 for x in task['Instances'])
        for task in TASKS.values()
    ]
    assert sum(several) >= len(several) / 4


@pytest.mark.parametrize('name', TASKS)
def test_schema(name):
    task = TASKS[name]
    assert re.fullmatch(r'task\d{3}_[a-z_]+', name)
    assert set(task) == KEYS
    for key in LISTS_OF_STRINGS:
        assert all(isinstance(value, str) for value in task[key]), key
    assert task['Contributors'] == ['fedprompt_jax']
    assert task['Source'] == ['synthetic']
    assert task['Instance License'] == ['Apache-2.0']
    assert len(task['Positive Examples']) == 2
    assert len(task['Negative Examples']) == 1
    for example in task['Positive Examples'] + task['Negative Examples']:
        assert set(example) == {'input', 'output', 'explanation'}
    for instance in task['Instances']:
        assert set(instance) == {'id', 'input', 'output'}
        assert instance['id'].startswith(name[:7] + '-')


@pytest.mark.parametrize('name', TASKS)
def test_texts_are_clean_and_short(name):
    task = TASKS[name]
    texts = [*task['Definition']]
    for example in task['Positive Examples'] + task['Negative Examples']:
        texts += example.values()
    for instance in task['Instances']:
        references = instance['output']
        assert references and len(set(references)) == len(references)
        assert len(instance['input'].split()) <= 25
        texts += [instance['input'], *references]
    for text in texts:
        assert text and text == ' '.join(text.split()), text
        assert not re.search('[{}]', text), text
        assert not re.search(r'\ban? (the|an?|some|two)\b', text), text
        assert text.isprintable(), text


@pytest.mark.parametrize('name', TASKS)
def test_examples_are_not_instances(name):
    task = TASKS[name]
    shown = task['Positive Examples'] + task['Negative Examples']
    inputs = {x['input'] for x in task['Instances']}
    assert inputs.isdisjoint(x['input'] for x in shown)
    assert len({x['input'] for x in shown}) == len(shown)


def test_every_family_has_tasks_in_its_order():
    """A task's number follows from it, and ids from the number."""
    for i, name in enumerate(TASKS, start=1):
        assert name.startswith(f'task{i:03d}_')
    names = [name.split('_', 1)[1] for name in TASKS]
    families = [
        importlib.import_module(f'{corpus.__name__}.tasks.{family}')
        for family in FAMILIES
    ]
    assert names == [
        task.name for module in families for task in registry.tasks_of(module)
    ]


def test_a_task_draws_by_its_own_name():
    """Else a new task changes the instances of the others."""
    drawn = []
    for name in ('one', 'another', 'one'):

        def pairs(rng):
            while True:
                yield f'{rng.random()}', ['x']

        pairs.__name__ = name
        task = registry.task('Misc.', 'Do.', 'So.', ('x', 'y', 'z'))(pairs)
        drawn.append(registry.distinct_pairs(task))
    assert drawn[0] == drawn[2] != drawn[1]


def test_no_two_tasks_share_an_input():
    inputs = [x['input'] for task in TASKS.values() for x in task['Instances']]
    assert [text for text, n in Counter(inputs).items() if n > 1] == []


def test_ids_are_unique():
    ids = [x['id'] for task in TASKS.values() for x in task['Instances']]
    assert len(set(ids)) == len(ids)


def test_same_bytes_whatever_the_hash_seed():
    code = (
        'import json, sys; from fedprompt_jax.data.corpus import generate; '
        'sys.stdout.write(json.dumps(generate()))'
    )
    here = json.dumps(TASKS).encode()
    root = Path(__file__).resolve().parents[1]
    for seed in '01':
        out = subprocess.run(
            [sys.executable, '-c', code],
            env={**os.environ, 'PYTHONHASHSEED': seed},
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout
        assert hashlib.sha256(out).digest() == hashlib.sha256(here).digest()


def make(pairs):
    """A task of these pairs."""
    return registry.task('Misc.', 'Do.', 'So.', ('x', 'y', 'z'))(
        lambda rng: iter(pairs)
    )


def test_contradiction_is_an_error():
    with pytest.raises(ValueError, match='is answered by'):
        registry.build(make([('a', ['1']), ('a', ['2'])]), 1)


def test_equal_references_are_an_error():
    with pytest.raises(ValueError, match='equal references'):
        registry.build(make([('a', ['1', '1'])]), 1)


def test_too_few_instances_is_an_error():
    few = [(str(i), [str(i)]) for i in range(201)]
    with pytest.raises(ValueError, match='199 distinct'):
        registry.build(make(few), 1)


def decode(words: str) -> int:
    """The number that English number words stand for."""
    total = part = 0
    for word in words.replace('-', ' ').replace(' and ', ' ').split():
        if word == 'thousand':
            total, part = total + 1000 * part, 0
        elif word == 'hundred':
            part *= 100
        elif word in numerals.SMALL:
            part += numerals.SMALL.index(word)
        else:
            part += 10 * (numerals.TENS.index(word) + 2)
    return total + part


def test_number_words_decode_back():
    assert all(decode(numerals.in_words(n)) == n for n in range(10_000))
    for text, references in instances('figures_to_words'):
        assert {decode(r) for r in references} == {int(text.split()[1])}


def test_roman_numerals_decode_back():
    values = {sign: value for value, sign in numerals.ROMAN}
    for text, (roman,) in instances('figures_to_roman'):
        signs = [values[s] for s in roman]
        pairs = zip(signs, [*signs[1:], 0], strict=True)
        total = sum(a if a >= b else -a for a, b in pairs)
        assert total == int(text.split()[-1])


@pytest.mark.parametrize(
    'name, separator',
    [
        ('order_of_words', ' / '),
        ('sort_numbers', ', '),
        ('alphabetize_words', ', '),
        ('reverse_list', ', '),
    ],
)
def test_an_order_is_a_permutation_of_its_input(name, separator):
    for text, references in instances(name):
        given = text.split(': ', 1)[1].split(separator)
        answer = references[0].split(' ' if separator == ' / ' else separator)
        assert Counter(given) == Counter(answer)


def test_orders_of_events_undo_the_shuffle():
    for text, (order,) in instances('order_of_events'):
        steps = dict(re.findall(r'([ABC]): (.*?)\.(?: |$)', text))
        assert tuple(steps[letter] for letter in order.split()) in STORIES


def test_names_are_found_as_whole_words():
    for text, (names,) in instances('people_in_sentence'):
        assert len(names.split(', ')) == 2
        assert all(re.search(rf'\b{n}\b', text) for n in names.split(', '))


def test_extracted_text_stands_in_the_input():
    for name in ('price', 'time', 'place', 'reason', 'phone_number'):
        for text, references in instances(f'extract_{name}'):
            assert all(reference in text for reference in references)


def test_no_word_stands_twice_in_a_table():
    irregular = [line.split()[0] for line in IRREGULAR.strip().splitlines()]
    verbs = irregular + english.words(REGULAR)
    groups = [word for group in synonyms.GROUPS for word in group]
    degrees = adjectives.SHORT + adjectives.DOUBLING + adjectives.LONG
    degrees += adjectives.IRREGULAR
    wrong = [pair[1] for pair in misspellings.SPELLINGS]
    right = [pair[0] for pair in misspellings.SPELLINGS]
    for table in (verbs, groups, degrees, wrong, right, ACTIONS):
        assert [w for w, n in Counter(table).items() if n > 1] == []
    assert set(wrong).isdisjoint(right)


def test_no_two_words_are_both_synonyms_and_antonyms():
    for word, others in opposites.ANTONYMS.items():
        assert len(set(others)) == len(others), word
        assert set(others).isdisjoint(synonyms.SYNONYMS.get(word, []))


def test_every_action_has_a_verb_and_an_object_with_a_determiner():
    for verb, thing, _ in ACTIONS:
        assert verb in VERBS
        first, rest = thing.split(' ', 1)
        assert first in ('the', 'some', english.article(rest))


# What the rules of English and of numbers give, by hand.


@pytest.mark.parametrize(
    ('n', 'figures', 'words'),
    [
        (1, '1st', 'first'),
        (2, '2nd', 'second'),
        (3, '3rd', 'third'),
        (11, '11th', 'eleventh'),
        (12, '12th', 'twelfth'),
        (20, '20th', 'twentieth'),
        (23, '23rd', 'twenty-third'),
        (100, '100th', 'one hundredth'),
        (111, '111th', 'one hundred and eleventh'),
        (121, '121st', 'one hundred and twenty-first'),
        (213, '213th', 'two hundred and thirteenth'),
    ],
)
def test_ordinals_by_hand(n, figures, words):
    assert numerals.ordinal_figures(n) == figures
    assert numerals.ordinal_words(n) == words


@pytest.mark.parametrize(
    ('n', 'roman'),
    [(4, 'IV'), (9, 'IX'), (44, 'XLIV'), (99, 'XCIX'), (1949, 'MCMXLIX')],
)
def test_roman_numerals_by_hand(n, roman):
    assert numerals.roman(n) == roman


def test_clock_times_by_hand():
    words = numerals.clock_words
    assert words(9, 0) == ["nine o'clock"]
    assert words(9, 15)[0] == 'quarter past nine'
    assert words(9, 20) == ['twenty past nine']
    assert words(9, 30)[0] == 'half past nine'
    assert words(9, 45)[0] == 'quarter to ten'
    assert words(12, 55) == ['five to one']
    twelve = {
        (0, 5): '12:05 AM', (1, 0): '1:00 AM', (11, 59): '11:59 AM',
        (12, 0): '12:00 PM', (13, 7): '1:07 PM', (23, 30): '11:30 PM',
    }  # fmt: skip
    for (hour, minute), text in twelve.items():
        assert numerals.twelve_hour(hour, minute)[0] == text
        dotted = text.replace('AM', 'a.m.').replace('PM', 'p.m.')
        assert numerals.twelve_hour(hour, minute)[1] == dotted


def test_english_by_hand():
    nouns = (
        'hour',
        'unicorn',
        'uninvited guest',
        'apple',
        'lamp',
        'honest man',
    )
    articles = [english.article(noun) for noun in nouns]
    assert articles == ['an', 'a', 'an', 'an', 'a', 'an']
    forms = {'day': 'days', 'city': 'cities', 'box': 'boxes', 'dish': 'dishes'}
    assert {word: english.add_s(word) for word in forms} == forms
    pasts = {'play': 'played', 'cry': 'cried', 'bake': 'baked', 'ask': 'asked'}
    assert {verb: english.add_ed(verb, False) for verb in pasts} == pasts
    assert english.add_ed('stop', True) == 'stopped'
    forms = {'bake': 'baking', 'die': 'dying', 'see': 'seeing', 'ask': 'asking'}
    assert {verb: english.add_ing(verb, False) for verb in forms} == forms
    assert english.add_ing('run', True) == 'running'
    assert english.title_case('the end of a day') == 'The End of a Day'
    assert english.the('some apples') == 'the apples'
    assert english.is_plural('some apples') and not english.is_plural('a lamp')
