"""Numbers between figures, words, ordinals and Roman numerals."""

import random

from fedprompt_jax.data.corpus import numerals
from fedprompt_jax.data.corpus.registry import Pairs, task

CATEGORY = 'Number Conversion'
WHY = 'Both stand for the same number.'
DOMAINS = ('Mathematics',)


def some_number(rng: random.Random) -> int:
    """A number below 10,000, of one to four figures."""
    figures = rng.choice((2, 3, 3, 4))
    return rng.randrange(10 ** (figures - 1), 10**figures)


@task(
    CATEGORY,
    'You are given a number in figures. Write it in words.',
    WHY,
    ('Number: 17', 'seventy', 'Seventy is 70; 17 is seventeen.'),
    domains=DOMAINS,
)
def figures_to_words(rng: random.Random) -> Pairs:
    while True:
        n = some_number(rng)
        ways = [numerals.in_words(n), numerals.in_words(n, joint=' ')]
        yield f'Number: {n}', list(dict.fromkeys(ways))


@task(
    CATEGORY,
    'You are given a number in words. Write it in figures, without commas.',
    WHY,
    ('Number: forty-two', '24', 'The figures are the wrong way round.'),
    domains=DOMAINS,
)
def words_to_figures(rng: random.Random) -> Pairs:
    while True:
        n = some_number(rng)
        yield f'Number: {numerals.in_words(n)}', [str(n)]


@task(
    CATEGORY,
    'You are given a number in figures. Write it as a Roman numeral.',
    WHY,
    ('Roman numeral of: 4', 'IIII', 'Four is written IV.'),
    domains=DOMAINS,
)
def figures_to_roman(rng: random.Random) -> Pairs:
    while True:
        n = rng.choice((rng.randrange(1, 150), rng.randrange(150, 2100)))
        yield f'Roman numeral of: {n}', [numerals.roman(n)]


@task(
    CATEGORY,
    'You are given a number in figures. Write its ordinal, in words or in '
    'figures.',
    'The ordinal tells the place of that number in a row.',
    ('Cardinal: 3', '3th', 'The ordinal of 3 is third, or 3rd.'),
    domains=DOMAINS,
)
def ordinal_of_number(rng: random.Random) -> Pairs:
    for n in rng.sample(range(1, 400), 300):
        yield (
            f'Cardinal: {n}',
            [numerals.ordinal_words(n), numerals.ordinal_figures(n)],
        )
