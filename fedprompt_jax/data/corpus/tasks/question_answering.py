"""Questions about a short passage, or about the world."""

import random

from fedprompt_jax.data.corpus import english, numerals
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people
from fedprompt_jax.data.corpus.words.geography import CAPITALS, CONTINENTS

CATEGORY = 'Question Answering'


@task(
    CATEGORY,
    'You are given a question about countries and their capitals. Answer it '
    'with the name of the city or of the country.',
    'The city is the capital of the country.',
    (
        'Question: What is the capital city of Australia?',
        'Sydney',
        'The capital of Australia is Canberra.',
    ),
    domains=('Geography',),
)
def capital_question(rng: random.Random) -> Pairs:
    cases = []
    for country, capital in CAPITALS.items():
        cases += [
            (f'What is the capital of {country}?', [capital]),
            (f'Which city is the capital of {country}?', [capital]),
            (f'{capital} is the capital of which country?', [country]),
        ]
    for question, answers in rng.sample(cases, len(cases)):
        yield f'Question: {question}', answers


@task(
    CATEGORY,
    'You are given a question about a country. Answer it with the name of a '
    'continent.',
    'The country belongs to this continent.',
    (
        'Question: On which continent does Japan lie?',
        'Africa',
        'Japan belongs to Asia.',
    ),
    domains=('Geography',),
)
def continent_question(rng: random.Random) -> Pairs:
    cases = []
    for country, continent in CONTINENTS.items():
        if continent == 'Oceania':  # which is more of a region
            continue
        cases += [
            (f'To which continent does {country} belong?', [continent]),
            (f'Which continent does {country} belong to?', [continent]),
            (f'{country} belongs to which continent?', [continent]),
        ]
    for question, answers in rng.sample(cases, len(cases)):
        yield f'Question: {question}', answers


OBJECTS = english.words("""
ball book key lamp hat umbrella letter basket map candle camera guitar
""")
ROOMS = english.words("""
kitchen garden bathroom attic garage bedroom office cellar hall library
""")


@task(
    CATEGORY,
    'You are told who moved a thing and where. Answer the question with the '
    'name of the room in which the thing is now, in one word.',
    'The thing was last put down in this room.',
    (
        'Bob took the vase to the hall. Then Bob took the vase to the cellar. '
        'Where is the vase?',
        'hall',
        'Bob took the vase to the cellar afterwards.',
    ),
    ('Spatial Reasoning',),
)
def where_is_it(rng: random.Random) -> Pairs:
    while True:
        (a, b), thing = rng.sample(people.NAMES, 2), rng.choice(OBJECTS)
        x, y = rng.sample(ROOMS, 2)
        he = people.pronouns(a)['he'].capitalize()
        end = f'Where is the {thing}?'
        story, room = rng.choice(
            (
                (
                    f'{a} took the {thing} to the {x}. '
                    f'Then {b} took it to the {y}.',
                    y,
                ),
                (
                    f'{a} put the {thing} in the {x}. {he} went to the {y} '
                    'without it.',
                    x,
                ),
                (
                    f'{a} found the {thing} in the {x} and left it in the {y}.',
                    y,
                ),
                (
                    f'{a} left the {thing} in the {x}. Then {b} looked for it '
                    f'in the {y}.',
                    x,
                ),
            )
        )
        yield f'{story} {end}', [room]


COMPARED = english.rows("""
older|the oldest|the youngest
taller|the tallest|the shortest
faster|the fastest|the slowest
richer|the richest|the poorest
stronger|the strongest|the weakest
heavier|the heaviest|the lightest
""")


@task(
    CATEGORY,
    'You are told how three people compare. Answer the question with the name '
    'of one of them.',
    'Putting the three in order leads to this person.',
    (
        'Bob is older than Kim. Kim is older than Lee. Who is the oldest?',
        'Kim',
        'Bob is older than Kim.',
    ),
    ('Logical Reasoning',),
)
def compare_people(rng: random.Random) -> Pairs:
    while True:
        more, most, least = rng.choice(COMPARED)
        a, b, c = rng.sample(people.NAMES, 3)
        facts = [f'{a} is {more} than {b}.', f'{b} is {more} than {c}.']
        rng.shuffle(facts)
        top = rng.random() < 0.5
        question = f'Who is {most if top else least}?'
        yield f'{" ".join(facts)} {question}', [a if top else c]


FOODS = english.words("""
soup pizza pasta rice fish salad bread cheese cake chicken
""")


@task(
    CATEGORY,
    'You are told what two people did. Answer the question with a few words '
    'from the text.',
    'The text says so.',
    (
        'Bob ate soup on Monday. Kim ate rice on Friday. When did Kim eat?',
        'on Monday',
        'That is when Bob ate; Kim ate on Friday.',
    ),
)
def who_ate_what(rng: random.Random) -> Pairs:
    while True:
        names = rng.sample(people.NAMES, 2)
        foods, days = rng.sample(FOODS, 2), rng.sample(numerals.DAYS, 2)
        text = ' '.join(
            f'{names[i]} ate {foods[i]} on {days[i]}.' for i in range(2)
        )
        i = rng.randrange(2)
        question, answers = rng.choice(
            (
                (f'Who ate {foods[i]}?', [names[i]]),
                (f'What did {names[i]} eat?', [foods[i]]),
                (f'When did {names[i]} eat?', [f'on {days[i]}', days[i]]),
            )
        )
        yield f'{text} {question}', answers
