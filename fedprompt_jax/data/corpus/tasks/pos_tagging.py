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
    'You are given two sentences. Write all their nouns in their order, with '
    'commas between them.',
    'These are the nouns of the sentences and no other words.',
    (
        'Nouns in: The little cat drank the milk. The dog barked.',
        'cat, drank, dog',
        'Drank is a verb, and milk is missing.',
    ),
    domains=DOMAINS,
)
def find_nouns(rng: random.Random) -> Pairs:
    while True:
        first, second = grammar.sentence(rng), grammar.sentence(rng)
        answer = ', '.join(nouns_of(first) + nouns_of(second))
        yield f'Nouns in: {first["text"]} {second["text"]}', [answer]


def nouns_of(words: dict[str, str]) -> list[str]:
    """The two nouns of a sentence of words.grammar, in their order."""
    nouns = [words['noun'], words['place']]
    return sorted(nouns, key=lambda noun: words['text'].index(f' {noun}'))


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
