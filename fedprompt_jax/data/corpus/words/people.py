"""First names, pronouns and things that people do."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.words.verbs import VERBS

# None of these is also a city or a common word at the head of a sentence.
FEMALE = english.words("""
Aisha Alice Amelia Anna Carmen Clara Diana Ella Emma Eva Fatima Hannah Helen
Ingrid Julia Laura Lena Lucy Maria Mia Nina Olivia Priya Rosa Ruth Sara Sophie
Wendy Yasmin Zoe
""")
MALE = english.words("""
Adam Ahmed Ali Ben Carlos Daniel David Diego Erik Felix George Henry Hugo Ivan
James Kenji Leo Lucas Martin Noah Omar Oscar Paul Peter Raj Samuel Simon Thomas
Tom Victor
""")
NAMES = sorted(FEMALE + MALE)


def pronouns(name: str) -> dict[str, str]:
    """The pronouns of a first name: he, him, his and himself, or hers."""
    if name in FEMALE:
        return {'he': 'she', 'him': 'her', 'his': 'her', 'self': 'herself'}
    return {'he': 'he', 'him': 'him', 'his': 'his', 'self': 'himself'}


def fill(template: str, name: str, **more: str) -> str:
    """The template with {name}, {he}, {him}, {his} and {self} filled in."""
    return template.format(name=name, **pronouns(name), **more)


def pair_of_names(rng: random.Random) -> tuple[str, str]:
    """A woman's and a man's name, in either order."""
    pair = [rng.choice(FEMALE), rng.choice(MALE)]
    rng.shuffle(pair)
    return pair[0], pair[1]


# What somebody did and why; the pronouns are the subject's.
REASONS = english.rows("""
stayed at home|{he} had a cold
opened the window|the room was too hot
took an umbrella|it was raining
went to bed early|{he} was tired
called a plumber|the sink was leaking
missed the bus|{he} overslept
bought a cake|it was {his} mother's birthday
wore a thick coat|it was freezing outside
closed the curtains|the sun was too bright
took a taxi|{he} was late for work
drank a glass of water|{he} was thirsty
made a sandwich|{he} was hungry
went to the dentist|{he} had a toothache
put on {his} glasses|{he} could not read the sign
stayed indoors|a storm was coming
changed {his} shirt|{he} had spilled coffee on it
turned off the radio|the baby was sleeping
studied all weekend|{he} had an exam on Monday
walked home|{his} car had broken down
borrowed a pen|{he} had lost {his} own
laughed out loud|the joke was funny
called the police|somebody had stolen {his} bicycle
waited outside|the shop was still closed
sold {his} car|{he} needed the money
moved to the city|{he} had found a new job
fed the cat|the cat was hungry
returned the shoes|the shoes were too small
smiled all day|{he} had won the race
turned on the lamp|it was getting dark
spoke quietly|the children were asleep
learned Spanish|{he} wanted to live in Mexico
stopped the car|the light was red
bought a new phone|{his} old one was broken
washed {his} hands|they were dirty
took the stairs|the lift was broken
skipped dessert|{he} was already full
hired the cook|the food was excellent
left the party early|the music was too loud
put the milk in the fridge|it was a hot day
hired a guide|{he} did not know the mountains
""")


def base_form(action: str) -> str:
    """An action of REASONS with its verb, the first word, in the base form."""
    past, rest = action.split(' ', 1)
    base = next(v.base for v in VERBS.values() if past in v.pasts)
    return f'{base} {rest}'
