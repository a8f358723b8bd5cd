"""Whether a given answer is right."""

import random

from fedprompt_jax.data.corpus import numerals
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people
from fedprompt_jax.data.corpus.words.geography import CAPITALS
from fedprompt_jax.data.corpus.words.nouns import PLURALS

CATEGORY = 'Answer Verification'
DEFINITION = (
    'You are given a question {} and an answer. Say whether the answer is '
    '"correct" or "incorrect".'
)
WHY = 'Answering the question shows this.'


def label(right: bool) -> list[str]:
    """The label of a right or a wrong answer."""
    return ['correct' if right else 'incorrect']


@task(
    CATEGORY,
    DEFINITION.format('about a capital'),
    WHY,
    (
        'Question: What is the capital city of Japan? Answer: Osaka',
        'correct',
        'The capital of Japan is Tokyo.',
    ),
    domains=('Geography',),
)
def verify_capital(rng: random.Random) -> Pairs:
    countries = sorted(CAPITALS)
    while True:
        country, other = rng.sample(countries, 2)
        right = rng.random() < 0.5
        city = CAPITALS[country if right else other]
        text = f'What is the capital of {country}? Answer: {city}'
        yield f'Question: {text}', label(right)


@task(
    CATEGORY,
    DEFINITION.format('about a sum'),
    WHY,
    (
        'Question: What is 2 plus 2? Answer: 5',
        'correct',
        'Two plus two is four.',
    ),
    ('Numerical Reasoning',),
    domains=('Mathematics',),
)
def verify_sum(rng: random.Random) -> Pairs:
    while True:
        a, b = rng.randint(10, 60), rng.randint(2, 9)
        plus, right = rng.random() < 0.5, rng.random() < 0.5
        answer = a + b if plus else a - b
        if not right:
            answer += rng.choice((-10, -2, -1, 1, 2, 10))
        text = f'What is {a} {"plus" if plus else "minus"} {b}?'
        yield f'Question: {text} Answer: {answer}', label(right)


@task(
    CATEGORY,
    DEFINITION.format('about the plural of a noun'),
    WHY,
    (
        'Question: What is the plural of "mouse"? Answer: mouses',
        'correct',
        'The plural of mouse is mice.',
    ),
    domains=('Linguistics',),
)
def verify_plural(rng: random.Random) -> Pairs:
    nouns = sorted(PLURALS)
    while True:
        noun, right = rng.choice(nouns), rng.random() < 0.5
        answer = rng.choice(PLURALS[noun])
        if not right:
            answer = wrong_plural(noun)
        text = f'What is the plural of "{noun}"? Answer: {answer}'
        yield f'Question: {text}', label(right)


def wrong_plural(noun: str) -> str:
    """A plural that a learner might write and that is not right."""
    tries = [noun + 's', noun + 'es', noun[:-1] + 'ies']
    if noun.endswith('s'):
        tries = tries[1:]
    return next(word for word in tries if word not in PLURALS[noun])


@task(
    CATEGORY,
    DEFINITION.format('about a short text'),
    WHY,
    (
        'Kim left on Monday. Question: When did Kim leave? Answer: on Friday',
        'correct',
        'The text says Monday.',
    ),
)
def verify_reading(rng: random.Random) -> Pairs:
    verbs = (('arrive', 'arrived'), ('leave', 'left'), ('call', 'called'))
    while True:
        (a, b), days = rng.sample(people.NAMES, 2), rng.sample(numerals.DAYS, 2)
        verb, past = rng.choice(verbs)
        who, right = rng.randrange(2), rng.random() < 0.5
        text = f'{a} {past} on {days[0]}, and {b} {past} on {days[1]}.'
        question = f'When did {(a, b)[who]} {verb}?'
        answer = days[who if right else 1 - who]
        yield f'{text} Question: {question} Answer: on {answer}', label(right)
