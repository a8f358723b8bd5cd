"""Names of people, cities and days in sentences."""

import random
import re

from fedprompt_jax.data.corpus import english, numerals
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people
from fedprompt_jax.data.corpus.words.geography import CAPITALS, CITIES

CATEGORY = 'Named Entity Recognition'
MEETINGS = (
    '{a} and {b} flew to {x} in {m}.',
    '{a} met {b} at a hotel in {x} last {d}.',
    'In {m}, {a} sent {b} a postcard from {x}.',
    '{a} lives in {x}, but {b} lives in {y}.',
    '{a} took the train from {x} to {y} to visit {b}.',
    'On {d}, {a} called {b} from the airport in {x}.',
    '{a} studied in {x} and {b} studied in {y}.',
    'After the concert in {x}, {a} drove {b} to {y}.',
)


def meeting(rng: random.Random) -> tuple[str, dict[str, str]]:
    """A sentence with two people and one or two cities, and who they are."""
    a, b = rng.sample(people.NAMES, 2)
    x, y = rng.sample(CITIES, 2)
    month, day = rng.choice(numerals.MONTHS), rng.choice(numerals.DAYS)
    names = {'a': a, 'b': b, 'x': x, 'y': y, 'm': month, 'd': day}
    template = rng.choice(MEETINGS)
    used = {k: v for k, v in names.items() if f'{{{k}}}' in template}
    return template.format(**names), used


def in_order(text: str, names: list[str]) -> str:
    """The names with commas, as they follow each other in the text."""
    # Whole words: 'Ali' is not in 'Alice'.
    return ', '.join(n for n in re.findall(r'\w+', text) if n in names)


@task(
    CATEGORY,
    'You are given a sentence. Write the names of all the people in it, in '
    'their order, with commas between them.',
    'These are the people of the sentence and no other names.',
    (
        'People in: Mary showed Robert the old town of Prague.',
        'Mary, Robert, Prague',
        'Prague is a city, not a person.',
    ),
)
def people_in_sentence(rng: random.Random) -> Pairs:
    while True:
        text, names = meeting(rng)
        yield f'People in: {text}', [in_order(text, [names['a'], names['b']])]


@task(
    CATEGORY,
    'You are given a sentence. Write the names of all the cities in it, in '
    'their order, with commas between them.',
    'These are the cities of the sentence and no other names.',
    (
        'Cities in: Mary moved from Prague to Rome in May.',
        'Prague, May',
        'May is a month, and Rome is missing.',
    ),
    domains=('Geography',),
)
def cities_in_sentence(rng: random.Random) -> Pairs:
    while True:
        text, names = meeting(rng)
        cities = [names[k] for k in 'xy' if k in names]
        yield f'Cities in: {text}', [in_order(text, cities)]


LABELS = {
    'a': 'person',
    'b': 'person',
    'x': 'city',
    'y': 'city',
    'm': 'month',
    'd': 'day',
}


@task(
    CATEGORY,
    'You are given a sentence and a name from it. Say what the name stands '
    'for: person, city, country, month or day.',
    'The label says what the name stands for.',
    (
        'Sentence: Mary moved to Prague in May. Name: May',
        'person',
        'May is the month in which Mary moved.',
    ),
)
def type_of_name(rng: random.Random) -> Pairs:
    countries = sorted(CAPITALS)
    while True:
        if rng.random() < 0.2:
            a, country = rng.choice(people.NAMES), rng.choice(countries)
            text = f'{a} has never been to {country}.'
            yield f'Sentence: {text} Name: {country}', ['country']
            continue
        text, names = meeting(rng)
        label = rng.choice(sorted({LABELS[k] for k in names}))
        key = next(k for k in names if LABELS[k] == label)
        yield f'Sentence: {text} Name: {names[key]}', [label]


JOBS = english.words("""
doctor teacher lawyer plumber baker pilot dentist journalist librarian nurse
carpenter singer painter waiter gardener
""")


@task(
    CATEGORY,
    'You are given a sentence about a person. Write the person and the job in '
    'the form "name: job".',
    'The name and the job are both taken from the sentence.',
    (
        'Job in: Mary, a painter, lives in Prague.',
        'Mary: Prague',
        'Prague is where Mary lives; the job is painter.',
    ),
)
def person_and_job(rng: random.Random) -> Pairs:
    while True:
        name, city = rng.choice(people.NAMES), rng.choice(CITIES)
        job = rng.choice(JOBS)
        text = rng.choice(
            (
                f'{name} works as {english.an(job)} in {city}.',
                f'{name}, {english.an(job)} from {city}, speaks Greek.',
                f'In {city} I met a young {job} called {name}.',
                f'My neighbour {name} has been {english.an(job)} for years.',
            )
        )
        yield f'Job in: {text}', [f'{name}: {job}']
