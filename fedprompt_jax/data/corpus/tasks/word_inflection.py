"""Forms of verbs, nouns and adjectives."""

import random

from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words.adjectives import DEGREES
from fedprompt_jax.data.corpus.words.nouns import PLURALS
from fedprompt_jax.data.corpus.words.verbs import VERBS

CATEGORY = 'Word Inflection'
DOMAINS = ('Linguistics',)


@task(
    CATEGORY,
    'You are given a verb in its base form. Write its simple past tense.',
    'This is the past tense of the verb.',
    (
        'Verb: go. Form: past',
        'goed',
        'Go is irregular: its past tense is went.',
    ),
    domains=DOMAINS,
)
def past_tense_of_verb(rng: random.Random) -> Pairs:
    for base in rng.sample(sorted(VERBS), len(VERBS)):
        yield f'Verb: {base}. Form: past', list(VERBS[base].pasts)


@task(
    CATEGORY,
    'You are given a verb in its base form. Write the form that ends in -ing.',
    'This is the -ing form of the verb, correctly spelled.',
    (
        'Verb: run. Form: -ing',
        'runing',
        'The last consonant is doubled: running.',
    ),
    domains=DOMAINS,
)
def ing_form_of_verb(rng: random.Random) -> Pairs:
    for base in rng.sample(sorted(VERBS), len(VERBS)):
        yield f'Verb: {base}. Form: -ing', [VERBS[base].ing]


@task(
    CATEGORY,
    'You are given a noun in the singular. Write its plural.',
    'This is the plural of the noun.',
    ('Noun: mouse', 'mouses', 'Mouse is irregular: its plural is mice.'),
    domains=DOMAINS,
)
def plural_of_noun(rng: random.Random) -> Pairs:
    for noun in rng.sample(sorted(PLURALS), len(PLURALS)):
        yield f'Noun: {noun}', list(PLURALS[noun])


@task(
    CATEGORY,
    'You are given an adjective and the name of a degree. Write the adjective '
    'in that degree, without "the" or "than".',
    'This is the adjective in the degree that was asked for.',
    (
        'Adjective: good. Degree: comparative',
        'gooder',
        'Good is irregular: its comparative is better.',
    ),
    domains=DOMAINS,
)
def degree_of_adjective(rng: random.Random) -> Pairs:
    cases = []
    for word, (comparatives, superlatives) in sorted(DEGREES.items()):
        head = f'Adjective: {word}. Degree:'
        cases.append((f'{head} comparative', comparatives))
        cases.append((f'{head} superlative', superlatives))
    yield from rng.sample(cases, len(cases))
