"""Questions to which a given part of a sentence is the answer."""

import random

from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people, scenes
from fedprompt_jax.data.corpus.words.scenes import Scene

CATEGORY = 'Question Generation'
DEFINITION = (
    'You are given a sentence and a part of it. Write a question that starts '
    'with "{}" and to which that part is the answer.'
)
WHY = 'The given part of the sentence answers the question.'


def sentence(scene: Scene) -> str:
    """The scene as a sentence in the past."""
    s = scene
    return f'{s.name} {s.verb.past} {s.thing} {s.place}.'


@task(
    CATEGORY,
    DEFINITION.format('By whom'),
    WHY,
    (
        'Sentence: The boys cut the grass at noon. Answer: the boys',
        'What did the boys cut?',
        'The answer to this question is the grass.',
    ),
)
def ask_by_whom(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_for_passive(rng)
        short = f'By whom {s.was} {s.thing} {s.verb.participle}'
        yield (
            f'Sentence: {sentence(s)} Answer: {s.name}',
            [f'{short} {s.place}?', f'{short}?'],
        )


@task(
    CATEGORY,
    DEFINITION.format('What'),
    WHY,
    (
        'Sentence: The boys cut the grass at noon. Answer: the grass',
        'When did the boys cut the grass?',
        'The answer to this question is at noon.',
    ),
)
def ask_what(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        if s.verb.base == 'meet':  # one meets somebody: who, not what
            continue
        short = f'What did {s.name} {s.verb.base}'
        yield (
            f'Sentence: {sentence(s)} Answer: {s.thing}',
            [f'{short} {s.place}?', f'{short}?'],
        )


@task(
    CATEGORY,
    DEFINITION.format('When'),
    WHY,
    (
        'Sentence: The boys cut the grass at noon. Answer: at noon',
        'Where did the boys cut the grass?',
        'The question asks for a place, and at noon is a time.',
    ),
    ('Temporal Reasoning',),
)
def ask_when(rng: random.Random) -> Pairs:
    while True:
        s, when = scenes.draw(rng), rng.choice(scenes.WHEN)
        text = f'{s.name} {s.verb.past} {s.thing} {when}.'
        yield (
            f'Sentence: {text} Answer: {when}',
            [f'When did {s.name} {s.verb.base} {s.thing}?'],
        )


@task(
    CATEGORY,
    DEFINITION.format('Why'),
    WHY,
    (
        'Sentence: We laughed because the clown fell. Answer: the clown fell',
        'Who laughed?',
        'The answer to this question is we.',
    ),
    ('Causal Reasoning',),
)
def ask_why(rng: random.Random) -> Pairs:
    while True:
        _, reason = row = rng.choice(people.REASONS)
        name = rng.choice(people.NAMES)
        past, base = row[0], people.base_form(row[0])
        text = f'Sentence: {{name}} {past} because {reason}. Answer: {reason}'
        question = f'Why did {{name}} {base}?'
        yield people.fill(text, name), [people.fill(question, name)]
