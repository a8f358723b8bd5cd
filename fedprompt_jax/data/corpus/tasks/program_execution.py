"""Small programs on lists of numbers and words."""

import random

from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words.categories import KINDS

CATEGORY = 'Program Execution'
DOMAINS = ('Computer Science',)
WORDS = sorted(
    {
        word
        for words in KINDS.values()
        for word in words
        if word.islower() and len(word) < 8
    }
)


def numbers(rng: random.Random) -> list[int]:
    """Four to six different numbers below 100."""
    return rng.sample(range(1, 100), rng.randint(4, 6))


def commas(items: list) -> str:
    """The items with commas between them."""
    return ', '.join(str(item) for item in items)


@task(
    CATEGORY,
    'You are given a list of numbers. Write the numbers from the smallest to '
    'the largest.',
    'These are the same numbers in growing order.',
    ('Sort: 9, 4, 7', '9, 7, 4', 'The numbers get smaller.'),
    domains=DOMAINS,
)
def sort_numbers(rng: random.Random) -> Pairs:
    while True:
        items = numbers(rng)
        yield f'Sort: {commas(items)}', [commas(sorted(items))]


@task(
    CATEGORY,
    'You are given a list of words. Write the words in alphabetical order.',
    'These are the same words in alphabetical order.',
    ('Alphabetize: pear, fig, yam', 'pear, fig, yam', 'F comes before p.'),
    domains=DOMAINS,
)
def alphabetize_words(rng: random.Random) -> Pairs:
    while True:
        items = rng.sample(WORDS, rng.randint(3, 5))
        yield f'Alphabetize: {commas(items)}', [commas(sorted(items))]


@task(
    CATEGORY,
    'You are given a list of words. Write the list from its end to its '
    'beginning.',
    'These are the same words in the opposite order.',
    ('Reverse: pear, fig, yam', 'fig, yam, pear', 'The last word comes first.'),
    domains=DOMAINS,
)
def reverse_list(rng: random.Random) -> Pairs:
    while True:
        items = rng.sample(WORDS, rng.randint(3, 5))
        yield f'Reverse: {commas(items)}', [commas(items[::-1])]


@task(
    CATEGORY,
    'You are given a list of numbers. Write those of them that are even, in '
    'their order.',
    'All of these numbers are even, and no even one is missing.',
    ('Even numbers of: 9, 4, 7, 2', '4, 7, 2', 'Seven is odd.'),
    ('Numerical Reasoning',),
    domains=DOMAINS,
)
def keep_even_numbers(rng: random.Random) -> Pairs:
    while True:
        items = numbers(rng)
        even = [n for n in items if n % 2 == 0]
        if even:
            yield f'Even numbers of: {commas(items)}', [commas(even)]


@task(
    CATEGORY,
    'You are given a list of words and one word. Write how often the word '
    'stands in the list.',
    'The word stands in the list as many times as that.',
    ('List: fig, yam, fig. Count: fig', '1', 'Fig stands there twice.'),
    domains=DOMAINS,
)
def count_word(rng: random.Random) -> Pairs:
    while True:
        word, *others = rng.sample(WORDS, 3)
        count = rng.randint(1, 4)
        items = [word] * count + rng.choices(others, k=rng.randint(2, 4))
        rng.shuffle(items)
        yield f'List: {commas(items)}. Count: {word}', [str(count)]
