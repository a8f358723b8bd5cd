"""The same sentence in another tense, denied, or as a question.

The place comes first, so that a copied sentence is no good answer.
"""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import scenes

CATEGORY = 'Sentence Perturbation'
WHY = 'Only what had to be changed was changed, and the place comes first.'


@task(
    CATEGORY,
    'You are given a sentence in the past. Deny that it happened at this '
    'place, in a sentence that starts with "It was not" and the place.',
    'The sentence says that it did not happen there, and nothing else.',
    (
        'Deny: The boys ate the figs at school.',
        'The boys did not eat the figs at school.',
        'It was not at school that the boys ate the figs.',
    ),
)
def deny_place(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_in_place(rng)
        told = f'{s.name} {s.verb.past} {s.thing}'
        yield f'Deny: {told} {s.place}.', [f'It was not {s.place} that {told}.']


@task(
    CATEGORY,
    'You are given a sentence about the past. Write it about the future, with '
    '"will", and start with the place.',
    WHY,
    (
        'Future: The boys ate the figs at school.',
        'At school, the boys eat the figs.',
        'That is the present; the future needs will eat.',
    ),
    ('Temporal Reasoning',),
)
def past_to_future(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_in_place(rng)
        text = f'Future: {s.name} {s.verb.past} {s.thing} {s.place}.'
        place = english.upper_first(s.place)
        yield text, [f'{place}, {s.name} will {s.verb.base} {s.thing}.']


@task(
    CATEGORY,
    'You are given a sentence about the present. Write it in the simple past '
    'and start with the place.',
    WHY,
    (
        'Past: The boys eat the figs at school.',
        'At school, the boys eated the figs.',
        'The past tense of eat is ate.',
    ),
    ('Temporal Reasoning',),
)
def present_to_past(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_in_place(rng)
        place = english.upper_first(s.place)
        answers = [
            f'{place}, {s.name} {past} {s.thing}.' for past in s.verb.pasts
        ]
        text = f'{s.name} {s.verb.third} {s.thing} {s.place}.'
        yield f'Past: {text}', answers


@task(
    CATEGORY,
    'You are given a statement in the past. Ask whether it happened at this '
    'place, in a question that starts with "Was it" and the place.',
    'The answer is yes if it happened there, and no if it happened elsewhere.',
    (
        'Ask: The boys ate the figs at school.',
        'Did the boys eat the figs at school?',
        'Was it at school that the boys ate the figs?',
    ),
)
def ask_about_place(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_in_place(rng)
        told = f'{s.name} {s.verb.past} {s.thing}'
        yield f'Ask: {told} {s.place}.', [f'Was it {s.place} that {told}?']
