"""Forms of verbs, nouns and adjectives."""

import random

from fedprompt_jax.data.corpus import numerals
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words.adjectives import DEGREES
from fedprompt_jax.data.corpus.words.nouns import PLURALS
from fedprompt_jax.data.corpus.words.verbs import CHANGING, VERBS

CATEGORY = 'Word Inflection'
DOMAINS = ('Linguistics',)


@task(
    CATEGORY,
    'You are given a verb in its base form and the name of a form: past, or '
    'participle. Write its simple past tense, or its past participle.',
    'This is the form of the verb that was asked for.',
    (
        'Verb: go. Form: past',
        'goed',
        'Go is irregular: its past tense is went.',
    ),
    domains=DOMAINS,
)
def past_form_of_verb(rng: random.Random) -> Pairs:
    regular = rng.sample(sorted(VERBS.keys() - CHANGING.keys()), 80)
    cases = []
    for base in [*sorted(CHANGING), *regular]:
        verb = VERBS[base]
        cases.append((f'Verb: {base}. Form: past', list(verb.pasts)))
        if base in CHANGING:
            text = f'Verb: {base}. Form: participle'
            cases.append((text, list(verb.participles)))
    yield from rng.sample(cases, len(cases))


@task(
    CATEGORY,
    'You are given two verbs in the past tense. Write for each the form that '
    'ends in -ing, with a comma between them.',
    'These are the -ing forms of the two verbs, correctly spelled.',
    (
        'Verbs: ran, ate. Form: -ing',
        'runing, eating',
        'The last consonant of run is doubled: running.',
    ),
    domains=DOMAINS,
)
def ing_forms_of_past(rng: random.Random) -> Pairs:
    verbs = [CHANGING[base] for base in sorted(CHANGING)]
    while True:
        a, b = rng.sample(verbs, 2)
        yield f'Verbs: {a.past}, {b.past}. Form: -ing', [f'{a.ing}, {b.ing}']


@task(
    CATEGORY,
    'You are given a number and a noun in the singular. Write the number in '
    'words and behind it the plural of the noun.',
    'This is the number in words with the plural of the noun.',
    (
        'Number: 21. Noun: mouse',
        'twenty-one mouses',
        'Mouse is irregular: its plural is mice.',
    ),
    domains=DOMAINS,
)
def noun_after_number(rng: random.Random) -> Pairs:
    for noun in rng.sample(sorted(PLURALS), len(PLURALS)):
        number = 10 * rng.randint(2, 9) + rng.randint(1, 9)
        words = numerals.in_words(number)
        yield (
            f'Number: {number}. Noun: {noun}',
            [f'{words} {plural}' for plural in PLURALS[noun]],
        )


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
