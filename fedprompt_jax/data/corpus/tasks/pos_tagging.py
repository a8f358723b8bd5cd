"""Parts of speech."""

import random

from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import grammar

CATEGORY = 'Pos Tagging'
DOMAINS = ('Linguistics',)
EXAMPLE = 'The little cat drank greedily.'


@task(
    CATEGORY,
    'You are given a sentence and a word from it. Name its part of speech: '
    'noun, verb, adjective, adverb or preposition.',
    'This is the part that the word plays in the sentence.',
    (
        f'Sentence: {EXAMPLE} Word: greedily',
        'adjective',
        'It tells how: an adverb.',
    ),
    domains=DOMAINS,
)
def tag_one_word(rng: random.Random) -> Pairs:
    tags = ('noun', 'verb', 'adjective', 'adverb', 'preposition')
    while True:
        words = grammar.sentence(rng)
        tag = rng.choice(tags)
        yield f'Sentence: {words["text"]} Word: {words[tag]}', [tag]


@task(
    CATEGORY,
    'You are given a sentence. Write its verb, as it stands there.',
    'This word tells what somebody did.',
    (f'Verb in: {EXAMPLE}', 'cat', 'Cat is a noun; the verb is drank.'),
    domains=DOMAINS,
)
def find_verb(rng: random.Random) -> Pairs:
    while True:
        words = grammar.sentence(rng)
        yield f'Verb in: {words["text"]}', [words['verb']]


@task(
    CATEGORY,
    'You are given a sentence. Write all its nouns in their order, with '
    'commas between them.',
    'These are the nouns of the sentence and no other words.',
    (
        'Nouns in: The little cat drank the milk.',
        'cat, drank',
        'Drank is a verb, and milk is missing.',
    ),
    domains=DOMAINS,
)
def find_nouns(rng: random.Random) -> Pairs:
    while True:
        words = grammar.sentence(rng)
        text = words['text']
        nouns = [words['noun'], words['place']]
        if text.index(f' {nouns[0]}') > text.index(f' {nouns[1]}'):
            nouns.reverse()
        yield f'Nouns in: {text}', [', '.join(nouns)]


@task(
    CATEGORY,
    'You are given a sentence. Write its adjective and its adverb in the form '
    '"adjective / adverb".',
    'The first word describes a noun, the second describes the verb.',
    (
        f'Adjective and adverb in: {EXAMPLE}',
        'greedily / little',
        'The two words are the wrong way round.',
    ),
    domains=DOMAINS,
)
def adjective_and_adverb(rng: random.Random) -> Pairs:
    while True:
        words = grammar.sentence(rng)
        answer = f'{words["adjective"]} / {words["adverb"]}'
        yield f'Adjective and adverb in: {words["text"]}', [answer]
