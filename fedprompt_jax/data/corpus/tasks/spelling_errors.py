"""Misspelt words: finding them, mending them, choosing between two."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people
from fedprompt_jax.data.corpus.words.misspellings import SPELLINGS

CATEGORY = 'Spelling Error Detection'
DOMAINS = ('Linguistics',)


def sentence_around(rng: random.Random, word: str) -> str:
    """A sentence that any word can stand in."""
    name = rng.choice(people.NAMES)
    return rng.choice(
        (
            f'{name} wrote the word {word} on the board.',
            f'Today {name} learned how to spell {word}.',
            f'How do you say {word} in French?',
            f'{name} looked up {word} in the dictionary.',
            f'The word {word} stands on the first page.',
        )
    )


@task(
    CATEGORY,
    'You are given a sentence in which one word is misspelt. Write that word '
    'as it stands in the sentence.',
    'This word is not spelled correctly.',
    (
        'Sentence: The teecher wrote a word on the board.',
        'board',
        'Board is correct; teecher is not.',
    ),
    domains=DOMAINS,
)
def find_misspelt_word(rng: random.Random) -> Pairs:
    while True:
        _, wrong = rng.choice(SPELLINGS)
        yield f'Sentence: {sentence_around(rng, wrong)}', [wrong]


@task(
    CATEGORY,
    'You are given a sentence in which one word is misspelt. Write that word '
    'with its correct spelling.',
    'This is the misspelt word, spelled correctly.',
    (
        'Mend: The teecher wrote a word on the board.',
        'teecher',
        'The word is repeated, not mended: teacher.',
    ),
    domains=DOMAINS,
)
def mend_misspelt_word(rng: random.Random) -> Pairs:
    while True:
        right, wrong = rng.choice(SPELLINGS)
        yield f'Mend: {sentence_around(rng, wrong)}', [right]


@task(
    CATEGORY,
    'You are given two spellings. Write the one that is correct.',
    'This is the spelling of the dictionary.',
    ('Spellings: teecher, teacher', 'teecher', 'The correct one is teacher.'),
    domains=DOMAINS,
)
def choose_spelling(rng: random.Random) -> Pairs:
    while True:
        pair = rng.choice(SPELLINGS)
        shown = rng.sample(pair, 2)
        yield f'Spellings: {shown[0]}, {shown[1]}', [pair[0]]


# word | word that sounds the same | sentences for the first
HOMOPHONES = english.rows("""
their|there|{n} and Kim sold _ house./{n} and Kim love _ dog.
there|their|{n} will be _ at noon./Is _ any milk left, {n}?
its|it's|{n}'s cat licked _ paw./{n} has a car, but _ engine is old.
it's|its|{n} says that _ cold today./Hurry up, {n}, _ late!
two|too|{n} has _ sisters./{n} ate _ eggs.
too|two|The soup is _ hot for {n}./{n} is _ young to drive.
buy|by|{n} wants to _ a hat./Where did {n} _ that lamp?
by|buy|{n} went to Rome _ train./The song was written _ {n}.
here|hear|{n} has lived _ for years./Come _, {n}!
hear|here|Can {n} _ the music?/{n} did not _ the bell.
see|sea|{n} can _ the moon./Did you _ {n} yesterday?
sea|see|{n} swam in the _ all day./{n} has a cottage by the _.
flour|flower|{n} bakes bread with _ and water./We need _ for the cake, {n}.
flower|flour|{n} picked a red _ in the garden./A rose is a _, {n}.
week|weak|{n} was ill for a _./{n} comes once a _.
weak|week|After the illness {n} felt _./The tea is too _ for {n}.
knew|new|{n} _ the answer./We all _ that {n} was right.
new|knew|{n} has a _ job./{n} bought _ shoes.
write|right|{n} will _ a letter./Please _ your name here, {n}.
right|write|{n} gave the _ answer./Turn _ at the bank, {n}.
meat|meet|{n} eats no _ or fish./{n} buys _ at the butcher's.
meet|meat|{n} will _ us at noon./Where shall we _, {n}?
pair|pear|{n} bought a _ of shoes./{n} lost a _ of gloves.
pear|pair|{n} ate a ripe _./A _ fell from the tree, {n}.
""")


@task(
    CATEGORY,
    'You are given a sentence with a gap and two words that sound alike. Write '
    'the one that belongs in the gap.',
    'This word fits the meaning of the sentence.',
    (
        'Sentence: The boys rode a _. Words: hoarse, horse',
        'hoarse',
        'Hoarse means having a rough voice; one rides a horse.',
    ),
    domains=DOMAINS,
)
def choose_homophone(rng: random.Random) -> Pairs:
    while True:
        right, other, frames = rng.choice(HOMOPHONES)
        frame = rng.choice(frames.split('/'))
        shown = sorted((right, other))
        text = frame.replace('{n}', rng.choice(people.NAMES))
        yield f'Sentence: {text} Words: {", ".join(shown)}', [right]
