"""Sentences with one mistake of grammar, and their correction."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people, scenes
from fedprompt_jax.data.corpus.words.goods import GOODS, SHOPS
from fedprompt_jax.data.corpus.words.nouns import PLURALS
from fedprompt_jax.data.corpus.words.verbs import DOUBLING

CATEGORY = 'Grammar Error Correction'
DEFINITION = (
    'You are given a sentence with one mistake of grammar: {}. Write what is '
    'right and what is wrong in the form "RIGHT, not WRONG".'
)
WHY = 'The first words mend the mistake, and the last ones are the mistake.'


@task(
    CATEGORY,
    DEFINITION.format('the verb does not agree with its subject'),
    WHY,
    (
        'Wrong: The dog bark at night.',
        'barked, not bark',
        'The tense was changed: barks, not bark.',
    ),
)
def verb_agreement(rng: random.Random) -> Pairs:
    often = ('every day', 'every week', 'on Sundays', 'every summer')
    while True:
        s, when = scenes.draw(rng), rng.choice(often)
        if s.verb.base in ('steal', 'invent', 'build', 'open'):
            continue  # nobody does these every day
        if rng.random() < 0.5:
            subject, wrong, right = s.name, s.verb.base, s.verb.third
        else:
            subject = rng.choice(('They', 'We', 'My parents', 'The boys'))
            wrong, right = s.verb.third, s.verb.base
        tail = f'{s.thing} {when}.'
        yield f'Wrong: {subject} {wrong} {tail}', [f'{right}, not {wrong}']


@task(
    CATEGORY,
    DEFINITION.format('"a" stands for "an", or "an" for "a"'),
    WHY,
    (
        'Wrong: Mary ate a egg.',
        'the egg, not a egg',
        'Only the form of the article is wrong: an egg, not a egg.',
    ),
)
def wrong_article(rng: random.Random) -> Pairs:
    vowels = [
        'apple', 'egg', 'orange', 'onion', 'old map', 'heir', 'umbrella',
        'empty box', 'island', 'elephant', 'open window', 'ugly hat',
        'interesting book', 'honest man', 'icy road', 'orange coat',
    ]  # fmt: skip
    others = [
        'banana', 'lemon', 'new map', 'uniform', 'useful tool', 'full box',
        'horse', 'university', 'big window', 'pretty hat', 'boring book',
        'European city', 'young man', 'wet road', 'unicorn', 'yellow coat',
    ]  # fmt: skip
    while True:
        noun = rng.choice(rng.choice((vowels, others)))
        right = english.article(noun)
        wrong = 'an' if right == 'a' else 'a'
        head = f'{rng.choice(people.NAMES)} ' + rng.choice(
            ('drew', 'wrote about', 'talked about', 'dreamed of')
        )
        answer = f'{right} {noun}, not {wrong} {noun}'
        yield f'Wrong: {head} {wrong} {noun}.', [answer]


@task(
    CATEGORY,
    DEFINITION.format('the past tense of the verb is wrongly formed'),
    WHY,
    (
        'Wrong: The boys runned home.',
        'run, not runned',
        'The past tense of run is ran.',
    ),
)
def wrong_past_tense(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw(rng)
        wrong = english.add_ed(s.verb.base, s.verb.base in DOUBLING)
        if wrong in s.verb.pasts:
            continue
        tail = f'{s.thing} {s.place}.'
        answers = [f'{past}, not {wrong}' for past in s.verb.pasts]
        yield f'Wrong: {s.name} {wrong} {tail}', answers


@task(
    CATEGORY,
    DEFINITION.format('a noun after a number is in the singular'),
    WHY,
    (
        'Wrong: Kim saw three mouse.',
        'three mouses, not three mouse',
        'The plural of mouse is mice.',
    ),
)
def missing_plural(rng: random.Random) -> Pairs:
    nouns = [thing for thing, _, _ in GOODS if ' of ' not in thing]
    counts = ('two', 'three', 'four', 'five', 'several', 'many')
    while True:
        thing = rng.choice(nouns)
        *head, noun = thing.split()
        many = ' '.join([*head, PLURALS.get(noun, (english.add_s(noun),))[0]])
        name, count = rng.choice(people.NAMES), rng.choice(counts)
        answer = f'{count} {many}, not {count} {thing}'
        yield (
            f'Wrong: {name} saw {count} {thing} {rng.choice(SHOPS)}.',
            [answer],
        )
