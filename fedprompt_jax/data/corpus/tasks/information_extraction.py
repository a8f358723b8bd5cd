"""Finding one piece of information in a sentence."""

import random

from fedprompt_jax.data.corpus import english, numerals
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people, scenes
from fedprompt_jax.data.corpus.words.goods import GOODS, SHOPS

CATEGORY = 'Information Extraction'
WHY = 'The answer is copied from the sentence.'


@task(
    CATEGORY,
    'You are given a sentence about something that was bought. Write the price '
    'that was paid, with its currency sign.',
    WHY,
    (
        'Price in: Two friends paid $9 for a cake with 12 candles.',
        '$12',
        'Twelve is the number of candles; the price is $9.',
    ),
    domains=('Commerce',),
)
def extract_price(rng: random.Random) -> Pairs:
    while True:
        thing, low, high = rng.choice(GOODS)
        price = f'{rng.choice("$£€")}{rng.randint(low, high)}'
        if rng.random() < 0.3:
            price += rng.choice(('.50', '.95', '.99'))
        name, shop = rng.choice(people.NAMES), rng.choice(SHOPS)
        goods = english.an(thing)
        text = rng.choice(
            (
                f'{name} bought {goods} for {price} {shop}.',
                f'{name} paid {price} for {goods} {shop}.',
                f'The {thing} that {name} bought {shop} cost {price}.',
                f'For {price}, {name} found {goods} {shop}.',
            )
        )
        yield f'Price in: {text}', [price]


EVENTS = english.words("""
meeting concert lecture party match film lesson interview wedding parade
ceremony rehearsal workshop exhibition auction
""")


@task(
    CATEGORY,
    'You are given a sentence about an event. Write the time at which the '
    'event begins.',
    WHY,
    (
        'Time in: The play on Friday starts at 7:30 pm and costs $5.',
        'Friday',
        'Friday is the day; the play begins at 7:30 pm.',
    ),
    ('Temporal Reasoning',),
)
def extract_time(rng: random.Random) -> Pairs:
    while True:
        hour, minute = rng.randint(8, 21), rng.choice((0, 15, 30, 45))
        time = f'{(hour - 1) % 12 + 1}:{minute:02d} ' + 'ap'[hour > 11] + 'm'
        day, event = rng.choice(numerals.DAYS), rng.choice(EVENTS)
        room, name = rng.randint(2, 40), rng.choice(people.NAMES)
        text = rng.choice(
            (
                f'The {event} on {day} begins at {time} in room {room}.',
                f'Please come to the {event} at {time} on {day}.',
                f'On {day} at {time} the {event} starts in hall {room}.',
                f"{name}'s {event} starts at {time} on {day}.",
            )
        )
        yield f'Time in: {text}', [time]


@task(
    CATEGORY,
    'You are given a sentence that tells where something happened. Write the '
    'words that name the place.',
    WHY,
    (
        'Place in: The twins hid a toy in the barn last week.',
        'last week',
        'Last week is a time; the place is in the barn.',
    ),
)
def extract_place(rng: random.Random) -> Pairs:
    while True:
        scene, when = scenes.draw(rng), rng.choice(scenes.WHEN)
        did = f'{scene.name} {scene.verb.past} {scene.thing} {scene.place}'
        text = rng.choice(
            (
                f'{did} {when}.',
                f'{english.upper_first(when)}, {did}.',
            )
        )
        place = scene.place
        yield f'Place in: {text}', [place, place.split(' ', 1)[1]]


@task(
    CATEGORY,
    'You are given a sentence that tells what somebody did and why. Write the '
    'reason, without the word "because".',
    'This is the part of the sentence that tells why.',
    (
        'Reason in: We laughed because the clown fell.',
        'we laughed',
        'That is what happened; the reason is that the clown fell.',
    ),
    ('Causal Reasoning',),
)
def extract_reason(rng: random.Random) -> Pairs:
    while True:
        action, reason = rng.choice(people.REASONS)
        name = rng.choice(people.NAMES)
        if rng.random() < 0.5 or '{he}' in reason or '{his}' in reason:
            text = f'{name} {action} because {reason}.'
        else:
            text = f'Because {reason}, {name} {action}.'
        yield (
            f'Reason in: {people.fill(text, name)}',
            [people.fill(reason, name)],
        )


@task(
    CATEGORY,
    'You are given a message. Write the telephone number that stands in it.',
    WHY,
    (
        'Message: Room 204 is ready, call 555-0188.',
        '204',
        'That is the number of the room.',
    ),
    domains=('Dialogue',),
)
def extract_phone_number(rng: random.Random) -> Pairs:
    while True:
        # 555-01xx is kept for fiction: nobody's real number.
        number = f'{rng.randint(201, 989)}-555-01{rng.randrange(100):02d}'
        name, hour = rng.choice(people.NAMES), rng.randint(2, 11)
        text = rng.choice(
            (
                f'Call {name} on {number} before {hour} pm.',
                f'Hi, it is {name}. My new number is {number}.',
                f'{name} lives at {hour} Mill Lane; the number is {number}.',
                f'For {hour} tickets, ring {number} and ask for {name}.',
            )
        )
        yield f'Message: {text}', [number]
