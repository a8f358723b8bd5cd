"""Meanings of single words: opposites, likenesses and kinds."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words.categories import KINDS
from fedprompt_jax.data.corpus.words.opposites import ANTONYMS
from fedprompt_jax.data.corpus.words.synonyms import SYNONYMS

CATEGORY = 'Word Semantics'


@task(
    CATEGORY,
    'You are given an adjective. Write an adjective that means the opposite '
    'of it. Do not repeat the given word.',
    'The two adjectives are opposites.',
    ('Adjective: hot', 'warm', 'Warm is close in meaning, not the opposite.'),
)
def antonym_of_adjective(rng: random.Random) -> Pairs:
    for word in rng.sample(sorted(ANTONYMS), len(ANTONYMS)):
        yield f'Adjective: {word}', ANTONYMS[word]


@task(
    CATEGORY,
    'You are given a word. Write another word that means nearly the same.',
    'The two words may stand for each other.',
    ('Word: brave', 'timid', 'Timid is the opposite of brave.'),
)
def synonym_of_word(rng: random.Random) -> Pairs:
    for word in rng.sample(sorted(SYNONYMS), len(SYNONYMS)):
        yield f'Word: {word}', SYNONYMS[word]


@task(
    CATEGORY,
    'You are given the name of a thing. Say what kind of thing it is, in one '
    'to four words.',
    'The answer names the group to which the thing belongs.',
    ('Thing: sparrow', 'wing', 'A wing is a part of a sparrow, not its kind.'),
    reasoning=('Commonsense Reasoning',),
)
def kind_of_thing(rng: random.Random) -> Pairs:
    pairs = [
        (f'Thing: {thing}', kind.split('/'))
        for kind, things in KINDS.items()
        for thing in things
    ]
    yield from rng.sample(pairs, len(pairs))


@task(
    CATEGORY,
    'You are given four words. Three of them are of one kind; write the one '
    'that does not belong with them.',
    'The other three words are of one kind and this one is not.',
    (
        'Words: apple, pear, hammer, plum',
        'apple',
        'An apple is a fruit like the pear and the plum; hammer is the answer.',
    ),
    reasoning=('Commonsense Reasoning',),
)
def odd_one_out(rng: random.Random) -> Pairs:
    # Kinds that cannot be mistaken for each other, names in lower case.
    clear = english.words("""
        fruit tool insect metal shape sport furniture building vegetable vehicle
    """)
    sets = [words for key, words in KINDS.items() if key.split('/')[0] in clear]
    while True:
        alike, other = rng.sample(sets, 2)
        odd = rng.choice(other)
        words = [*rng.sample(alike, 3), odd]
        rng.shuffle(words)
        yield 'Words: ' + ', '.join(words), [odd]
