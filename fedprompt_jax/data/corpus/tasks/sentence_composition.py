"""One sentence out of two, or out of facts."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people
from fedprompt_jax.data.corpus.words.geography import CITIES
from fedprompt_jax.data.corpus.words.stories import STORIES

CATEGORY = 'Sentence Composition'
WHY = 'One sentence says all that was given, and no more.'
JOBS = english.words("""
doctor teacher lawyer plumber baker pilot dentist engineer librarian nurse
carpenter singer painter waiter architect
""")


@task(
    CATEGORY,
    'You are given two sentences: what somebody did, and why. Write them as '
    'one sentence that starts with "Because".',
    WHY,
    (
        'Effect: We laughed. Cause: The clown fell.',
        'Because we laughed, the clown fell.',
        'Cause and effect are swapped.',
    ),
    ('Causal Reasoning',),
)
def join_with_because(rng: random.Random) -> Pairs:
    while True:
        act, reason = rng.choice(people.REASONS)
        name = rng.choice(people.NAMES)
        cause = english.upper_first(people.fill(reason, name))
        effect = people.fill(f'{{name}} {act}', name)
        answer = people.fill(f'Because {reason}, {{name}} {act}.', name)
        yield f'Effect: {effect}. Cause: {cause}.', [answer]


@task(
    CATEGORY,
    'You are given two facts about a person. Write one sentence that starts '
    'with the job, goes on with "who" and ends with the name.',
    WHY,
    (
        'Mary is a painter. Mary speaks Greek.',
        'The painter speaks Greek and is Mary.',
        'The word who is missing.',
    ),
)
def join_with_who(rng: random.Random) -> Pairs:
    rows = english.rows("""
lives in {c}|was born in {c}|has an uncle in {c}|plays the violin|has two dogs
speaks five languages|collects old stamps|loves spicy food|rides a motorcycle
has a twin|hates cold weather|sings in a choir|grows roses|paints landscapes
""")
    facts = [fact for row in rows for fact in row]
    while True:
        name, job = rng.choice(people.NAMES), rng.choice(JOBS)
        fact = rng.choice(facts).format(c=rng.choice(CITIES))
        head = f'{name} is {english.an(job)}'
        yield (
            f'{head}. {name} {fact}.',
            [f'The {job} who {fact} is {name}.'],
        )


@task(
    CATEGORY,
    'You are given facts about a person in the form of a table. Write one '
    'sentence with all of them.',
    WHY,
    (
        'name: Mary | age: 30 | job: painter | city: Prague',
        'Mary is a painter from Prague.',
        'The age is missing.',
    ),
)
def sentence_from_table(rng: random.Random) -> Pairs:
    while True:
        name, job = rng.choice(people.NAMES), rng.choice(JOBS)
        city, age = rng.choice(CITIES), rng.randint(21, 79)
        yield (
            f'name: {name} | age: {age} | job: {job} | city: {city}',
            [
                f'{name} is {english.an(f"{age}-year-old")} {job} from {city}.',
                f'{name}, {english.an(job)} from {city}, is {age} years old.',
            ],
        )


@task(
    CATEGORY,
    'You are given a name and three things that the person did, the last one '
    'first. Write one sentence about them that starts with the first one.',
    WHY,
    (
        'Last: ate the cake. Before: iced it. First: baked a cake. Who: Kim',
        'Kim baked a cake and ate the cake.',
        'The second thing is missing.',
    ),
    ('Temporal Reasoning',),
)
def sentence_from_steps(rng: random.Random) -> Pairs:
    while True:
        name, (a, b, c) = rng.choice(people.NAMES), rng.choice(STORIES)
        yield (
            f'Last: {c}. Before: {b}. First: {a}. Who: {name}',
            [f'{name} {a}, {b} and {c}.', f'{name} {a}, {b}, and {c}.'],
        )
