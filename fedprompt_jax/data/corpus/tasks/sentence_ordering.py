"""Putting events and words into their order."""

import random
import re

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people, scenes
from fedprompt_jax.data.corpus.words.stories import STORIES

CATEGORY = 'Sentence Ordering'


@task(
    CATEGORY,
    'You are given three events of a story with the letters A, B and C. Write '
    'the letters in the order in which the events happened.',
    'Told in this order, the events make a story.',
    (
        'A: ate the cake. B: baked the cake. C: bought the flour.',
        'A B C',
        'One buys flour first, then bakes, then eats: C B A.',
    ),
    ('Temporal Reasoning',),
)
def order_of_events(rng: random.Random) -> Pairs:
    while True:
        story = rng.choice(STORIES)
        shown = rng.sample(story, 3)
        text = ' '.join(
            f'{x}: {step}.' for x, step in zip('ABC', shown, strict=True)
        )
        yield text, [' '.join('ABC'[shown.index(step)] for step in story)]


@task(
    CATEGORY,
    'You are given the words of a sentence in the wrong order. Write the '
    'sentence.',
    'The sentence has all of the words and makes sense.',
    (
        'Words: milk / the / drank / cat / the',
        'the cat the milk drank',
        'These are the words, but not in the order of a sentence.',
    ),
)
def order_of_words(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        # With 'a' and 'the' to place there would be two right sentences.
        thing = english.the(s.thing)
        text = f'{s.name} {s.verb.past} {thing} {s.place}'
        words = text.split()
        if len(words) > 9:
            continue
        rng.shuffle(words)
        yield f'Words: {" / ".join(words)}', [text, f'{text}.']


@task(
    CATEGORY,
    'You are given a sentence about two things that somebody did. Write the '
    'one that was done first.',
    'The sentence says that this was done before the other.',
    (
        'Sentence: Before the boy ate, he washed his hands.',
        'ate',
        'He washed his hands first.',
    ),
    ('Temporal Reasoning',),
)
def what_came_first(rng: random.Random) -> Pairs:
    while True:
        first, _, last = rng.choice(STORIES)
        if re.search(r'\b(its?|them|there)\b', last):
            continue  # it may stand before the thing that it stands for
        name = rng.choice(people.NAMES)
        he = people.pronouns(name)['he']
        text = rng.choice(
            (
                f'After {he} {first}, {name} {last}.',
                f'{name} {first} before {he} {last}.',
                f'{name} {last} after {he} {first}.',
                f'Before {he} {last}, {name} {first}.',
            )
        )
        yield f'Sentence: {english.upper_first(text)}', [first]
