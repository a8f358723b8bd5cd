"""Analogies: as the first pair is related, so is the second."""

import random

from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words.adjectives import DEGREES
from fedprompt_jax.data.corpus.words.geography import CAPITALS
from fedprompt_jax.data.corpus.words.opposites import ANTONYMS
from fedprompt_jax.data.corpus.words.verbs import CHANGING

CATEGORY = 'Word Analogy'
DEFINITION = (
    'You are given a pair of words and the first word of a second pair, in the '
    'form "A : B. C : ?". Write the word that is related to C as B is to A.'
)
WHY = 'The second pair is related in the same way as the first pair.'
REASONING = ('Relational Reasoning',)


def analogies(rng: random.Random, table: dict[str, list[str]]) -> Pairs:
    """Endless analogies between two rows of word -> words related to it."""
    keys = sorted(table)
    while True:
        a, c = rng.sample(keys, 2)
        yield f'{a} : {table[a][0]}. {c} : ?', table[c]


@task(
    CATEGORY,
    DEFINITION + ' Each pair is a country and its capital.',
    WHY,
    ('France : Paris. Japan : ?', 'Osaka', 'The capital of Japan is Tokyo.'),
    REASONING,
    domains=('Geography',),
)
def capital_analogy(rng: random.Random) -> Pairs:
    return analogies(rng, {key: [value] for key, value in CAPITALS.items()})


@task(
    CATEGORY,
    DEFINITION + ' Each pair is a verb and its past tense.',
    WHY,
    ('walk : walked. sing : ?', 'singing', 'The past tense of sing is sang.'),
    REASONING,
    domains=('Linguistics',),
)
def past_tense_analogy(rng: random.Random) -> Pairs:
    table = {base: list(verb.pasts) for base, verb in CHANGING.items()}
    return analogies(rng, table)


@task(
    CATEGORY,
    DEFINITION + ' Each pair is an adjective and its opposite.',
    WHY,
    ('hot : cold. wet : ?', 'damp', 'The opposite of wet is dry.'),
    REASONING,
)
def antonym_analogy(rng: random.Random) -> Pairs:
    return analogies(rng, ANTONYMS)


@task(
    CATEGORY,
    DEFINITION + ' Each pair is an adjective and its comparative.',
    WHY,
    ('big : bigger. good : ?', 'best', 'Best is the superlative of good.'),
    REASONING,
    domains=('Linguistics',),
)
def comparative_analogy(rng: random.Random) -> Pairs:
    table = {word: degrees[0] for word, degrees in DEGREES.items()}
    return analogies(rng, table)
