"""The same sentence in another tense, denied, or as a question."""

import random

from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import scenes

CATEGORY = 'Sentence Perturbation'
WHY = 'Only what had to be changed was changed.'


@task(
    CATEGORY,
    'You are given a sentence in the past. Write the sentence that denies it, '
    'with "did not".',
    WHY,
    (
        'Deny: The boys ate the figs at school.',
        'The boys did not ate the figs at school.',
        'After did not comes the base form: eat.',
    ),
)
def deny_sentence(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        if s.thing.startswith('some '):
            continue  # 'some' would have to become 'any'
        rest = f'{s.thing} {s.place}.'
        yield (
            f'Deny: {s.name} {s.verb.past} {rest}',
            [
                f'{s.name} did not {s.verb.base} {rest}',
                f"{s.name} didn't {s.verb.base} {rest}",
            ],
        )


@task(
    CATEGORY,
    'You are given a sentence about the past. Write it about the future, with '
    '"will".',
    WHY,
    (
        'Future: The boys ate the figs at school.',
        'The boys eat the figs at school.',
        'That is the present; the future needs will eat.',
    ),
    ('Temporal Reasoning',),
)
def past_to_future(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        rest = f'{s.thing} {s.place}.'
        text = f'Future: {s.name} {s.verb.past} {rest}'
        yield text, [f'{s.name} will {s.verb.base} {rest}']


@task(
    CATEGORY,
    'You are given a sentence about the present. Write it in the simple past.',
    WHY,
    (
        'Past: The boys eat the figs at school.',
        'The boys eated the figs at school.',
        'The past tense of eat is ate.',
    ),
    ('Temporal Reasoning',),
)
def present_to_past(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        rest = f'{s.thing} {s.place}.'
        answers = [f'{s.name} {past} {rest}' for past in s.verb.pasts]
        yield f'Past: {s.name} {s.verb.third} {rest}', answers


@task(
    CATEGORY,
    'You are given a statement in the past. Write it as a question that can be '
    'answered with yes or no.',
    WHY,
    (
        'Ask: The boys ate the figs at school.',
        'Did the boys ate the figs at school?',
        'After did comes the base form: eat.',
    ),
)
def statement_to_question(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        rest = f'{s.thing} {s.place}'
        text = f'Ask: {s.name} {s.verb.past} {rest}.'
        yield text, [f'Did {s.name} {s.verb.base} {rest}?']
