"""Titles for news, recipes and notices."""

import random

from fedprompt_jax.data.corpus import english, numerals
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words.geography import CITIES

CATEGORY = 'Title Generation'
WHY = 'The title says in a few words what the text is about.'

JOBS = english.words("""
nurse teacher baker pilot farmer dentist plumber lawyer librarian gardener
student waiter
""")
FEATS = english.rows("""
won the national chess championship|Wins Chess Championship
saved a child from a burning house|Saves Child from Fire
found a bag full of money and gave it back|Returns Bag of Money
swam across the cold lake in two hours|Swims across Lake
broke the world record for juggling|Breaks Juggling Record
grew a pumpkin as heavy as a cow|Grows Giant Pumpkin
discovered an unknown kind of butterfly|Discovers New Butterfly
walked a thousand miles to raise money|Walks Thousand Miles for Charity
built a boat out of old bottles|Builds Boat from Bottles
won a million dollars in the lottery|Wins Lottery
opened a school for stray dogs|Opens School for Dogs
wrote a novel on a telephone|Writes Novel on Phone
""")


@task(
    CATEGORY,
    'You are given a piece of news. Write a headline for it, in the present '
    'tense and in title case.',
    WHY,
    (
        'News: On Monday, a singer from Prague planted a hundred trees.',
        'Monday in Prague',
        'The headline does not say what happened.',
    ),
    domains=('News',),
)
def headline_for_news(rng: random.Random) -> Pairs:
    while True:
        job, city = rng.choice(JOBS), rng.choice(CITIES)
        feat, short = rng.choice(FEATS)
        day = rng.choice(numerals.DAYS)
        text = rng.choice(
            (
                f'On {day}, {english.an(job)} from {city} {feat}.',
                f'{english.upper_first(english.an(job))} from {city} {feat} '
                f'on {day}.',
            )
        )
        who = english.title_case(job)
        yield f'News: {text}', [f'{city} {who} {short}', f'{who} {short}']


VEGETABLES = english.rows("""
carrot|carrots
onion|onions
potato|potatoes
tomato|tomatoes
mushroom|mushrooms
leek|leeks
pea|peas
bean|beans
pepper|peppers
pumpkin|pumpkins
lentil|lentils
cabbage|cabbage
""")
DISHES = english.rows("""
Soup|Boil the {a} and the {b} in stock, then blend until smooth.
Soup|Simmer the {a} with the {b} in broth and serve in bowls with a spoon.
Salad|Mix the {a} with the {b}, add oil and vinegar, and serve cold.
Salad|Toss the {a} and the {b} with lettuce and dressing.
Pie|Fill the pastry with the {a} and the {b} and bake it for an hour.
Pizza|Spread the {a}, the {b} and cheese on the flat dough and bake it.
Omelette|Fry the {a} and the {b}, pour over three beaten eggs and fold.
Curry|Fry the {a} and the {b} with chilli, turmeric and coconut milk.
""")


@task(
    CATEGORY,
    'You are given a recipe in one sentence. Write the name of the dish, in '
    'title case.',
    WHY,
    (
        'Recipe: Boil the spinach in stock, then blend until smooth.',
        'Spinach Salad',
        'Something boiled and blended is a soup.',
    ),
    domains=('Food',),
)
def name_of_dish(rng: random.Random) -> Pairs:
    while True:
        (a, many_a), (b, many_b) = rng.sample(VEGETABLES, 2)
        dish, text = rng.choice(DISHES)
        recipe = text.format(a=many_a, b=many_b)
        a, b = a.capitalize(), b.capitalize()
        yield (
            f'Recipe: {recipe}',
            [f'{a} and {b} {dish}', f'{b} and {a} {dish}', f'{a} {dish}'],
        )


HOSTS = english.words('library museum school church theatre university zoo')
KINDS = english.words('talk lecture workshop exhibition')
TOPICS = english.words("""
bees planets castles whales robots volcanoes mushrooms pirates trains dinosaurs
""")


@task(
    CATEGORY,
    'You are given the notice of an event. Write a short title for it, in '
    'title case.',
    WHY,
    (
        'Notice: On Friday the park will host a talk about ants.',
        'Friday at the Park',
        'The title does not say that there is a talk about ants.',
    ),
    domains=('Miscellaneous',),
)
def title_of_event(rng: random.Random) -> Pairs:
    while True:
        host, kind, topic = map(rng.choice, (HOSTS, KINDS, TOPICS))
        day, hour = rng.choice(numerals.DAYS), rng.randint(2, 8)
        event = f'{english.an(kind)} about {topic}'
        text = rng.choice(
            (
                f'The {host} will host {event} on {day} at {hour} pm.',
                f'Come to the {host} on {day} at {hour} pm for {event}.',
                f'{event.capitalize()} takes place at the {host} on {day}.',
            )
        )
        short = f'{kind} about {topic}'
        yield (
            f'Notice: {text}',
            [
                english.title_case(f'{short} at the {host}'),
                english.title_case(short),
            ],
        )
