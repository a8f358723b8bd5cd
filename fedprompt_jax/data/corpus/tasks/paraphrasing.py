"""The same said in another form."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people, scenes
from fedprompt_jax.data.corpus.words.scenes import Scene

CATEGORY = 'Paraphrasing'
WHY = 'Both sentences say the same.'


def passive(scene: Scene, agent_first: bool) -> str:
    """The scene in the passive, with the agent before the place or after."""
    places = [scene.place, f'by {scene.name}']
    tail = ' '.join(places[::-1] if agent_first else places)
    return english.upper_first(
        f'{scene.thing} {scene.was} {scene.verb.participle} {tail}.'
    )


@task(
    CATEGORY,
    'You are given a sentence in the active voice. Write it in the passive '
    'voice.',
    WHY,
    (
        'Active: The boys ate some figs at school.',
        'Some figs ate the boys at school.',
        'Here the figs eat the boys.',
    ),
)
def active_to_passive(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_for_passive(rng)
        text = f'{s.name} {s.verb.past} {s.thing} {s.place}.'
        yield f'Active: {text}', [passive(s, True), passive(s, False)]


@task(
    CATEGORY,
    'You are given a sentence in the passive voice. Write it in the active '
    'voice.',
    WHY,
    (
        'Passive: Some figs were eaten by the boys at school.',
        'Some figs ate the boys at school.',
        'Here the figs eat the boys.',
    ),
)
def passive_to_active(rng: random.Random) -> Pairs:
    while True:
        s = scenes.draw_for_passive(rng)
        text = f'{s.name} {s.verb.past} {s.thing} {s.place}.'
        yield f'Passive: {passive(s, True)}', [text]


GIVING = english.rows("""
gave|given
lent|lent
sent|sent
showed|shown
sold|sold
handed|handed
offered|offered
brought|brought
""")
GIFTS = english.rows("""
a book|a letter|a map|a present|a ticket|a lamp|a coin|an umbrella|a photo
a basket|a pencil|an old coat|a bottle of water|a bicycle
""")


@task(
    CATEGORY,
    'You are given a sentence about a gift, a loan or a sale. Write it so that '
    'it starts with the person who receives the thing.',
    WHY,
    (
        'Sentence: The boys gave Kim a fig.',
        'Kim gave a fig to the boys.',
        'Here Kim gives the fig away.',
    ),
)
def start_with_receiver(rng: random.Random) -> Pairs:
    gifts = [gift for row in GIFTS for gift in row]
    while True:
        (a, b), gift = rng.sample(people.NAMES, 2), rng.choice(gifts)
        past, participle = rng.choice(GIVING)
        objects = rng.choice((f'{b} {gift}', f'{gift} to {b}'))
        answer = f'{b} was {participle} {gift} by {a}.'
        yield f'Sentence: {a} {past} {objects}.', [answer]


# short | long | what may follow, with base verbs, participles or phrases
CONTRACTIONS = english.rows("""
don't|do not|I {} like tea/We {} eat meat/They {} live here/You {} need a key
doesn't|does not|{n} {} like tea/{n} {} eat meat/{n} {} live here
didn't|did not|{n} {} come home/{n} {} see the sign/{n} {} say a word
can't|cannot|{n} {} swim/{n} {} find the key/{n} {} come today
won't|will not|{n} {} be late/{n} {} tell anybody/{n} {} sell the house
isn't|is not|{n} {} at home/{n} {} ready/{n} {} my cousin
wasn't|was not|{n} {} at school/{n} {} ready/{n} {} hungry
hasn't|has not|{n} {} called yet/{n} {} seen the film/{n} {} paid
shouldn't|should not|{n} {} worry/{n} {} work so hard/{n} {} drive tonight
couldn't|could not|{n} {} sleep/{n} {} open the door/{n} {} remember
wouldn't|would not|{n} {} listen/{n} {} eat fish/{n} {} leave the dog
""")


@task(
    CATEGORY,
    'You are given a sentence with a contraction such as "don\'t". Write the '
    'sentence with the full words.',
    WHY,
    (
        "Sentence: We can't hear you.",
        'We can hear you.',
        'The word not is missing.',
    ),
)
def write_contraction_out(rng: random.Random) -> Pairs:
    while True:
        short, full, frames = rng.choice(CONTRACTIONS)
        frame = rng.choice(frames.split('/'))
        frame = frame.replace('{n}', rng.choice(people.NAMES))
        answers = [frame.format(full) + '.']
        if full == 'cannot':
            answers.append(frame.format('can not') + '.')
        yield f'Sentence: {frame.format(short)}.', answers
