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
    was = 'were' if scene.thing_is_plural else 'was'
    places = [scene.place, f'by {scene.name}']
    tail = ' '.join(places[::-1] if agent_first else places)
    return english.upper_first(
        f'{scene.thing} {was} {scene.verb.participle} {tail}.'
    )


def scene_with_passive(rng: random.Random) -> Scene:
    """A scene whose passive is plain English."""
    while True:
        scene = scenes.draw(rng)
        # 'A key was lost on the train by Tom' or 'A guitar was brought to the
        # party by Tom' is clumsy: such verbs and places are left out.
        moves = scene.place.startswith(('to ', 'into ', 'from '))
        if not moves and scene.verb.base not in ('hear', 'meet', 'win', 'lose'):
            return scene


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
        s = scene_with_passive(rng)
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
        s = scene_with_passive(rng)
        text = f'{s.name} {s.verb.past} {s.thing} {s.place}.'
        yield f'Passive: {passive(s, True)}', [text]


GIVING = english.words("""
gave lent sent showed sold handed offered brought
""")
GIFTS = english.rows("""
a book|a letter|a map|a present|a ticket|a lamp|a coin|an umbrella|a photo
a basket|a pencil|an old coat|a bottle of water|a bicycle
""")


@task(
    CATEGORY,
    'You are given a sentence with two objects. Write it so that the order of '
    'the two objects changes and the meaning does not.',
    WHY,
    (
        'Sentence: The boys gave Kim a fig.',
        'Kim gave a fig to the boys.',
        'Here Kim gives the fig away.',
    ),
)
def swap_two_objects(rng: random.Random) -> Pairs:
    gifts = [gift for row in GIFTS for gift in row]
    while True:
        (a, b), gift = rng.sample(people.NAMES, 2), rng.choice(gifts)
        verb = rng.choice(GIVING)
        two = f'{a} {verb} {b} {gift}.', f'{a} {verb} {gift} to {b}.'
        text, answer = two if rng.random() < 0.5 else two[::-1]
        yield f'Sentence: {text}', [answer]


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
