"""Nouns, verbs, adjectives and adverbs that make sense together."""

import random

from fedprompt_jax.data.corpus import english

ADJECTIVES = english.words("""
old young tall tired happy angry shy brave lazy clever strange famous nervous
polite hungry cheerful quiet friendly
""")
NOUNS = english.words("""
farmer doctor teacher sailor nurse lawyer pilot baker singer soldier painter
queen king waiter student neighbour gardener tourist
""")
# past tense | how one does it
VERBS = [
    (verb, english.words(adverbs))
    for verb, adverbs in english.rows("""
walked|slowly quickly quietly calmly carefully nervously happily sadly
danced|slowly happily quietly gladly gracefully wildly
slept|quietly calmly peacefully soundly deeply
waited|patiently quietly calmly nervously gladly
laughed|loudly quietly happily nervously gladly wildly
worked|slowly quickly quietly carefully patiently gladly
sang|loudly quietly happily sadly gladly softly
sat|quietly calmly patiently sadly happily nervously
smiled|happily sadly calmly nervously gladly bravely
shouted|loudly angrily happily wildly bravely
cried|loudly quietly sadly bitterly softly
whispered|quietly softly nervously sadly calmly
""")
]
PREPOSITIONS = english.words('in near behind outside beside')
PLACES = english.words("""
garden church castle kitchen school barn station library theatre house tower
museum
""")


def sentence(rng: random.Random) -> dict[str, str]:
    """A sentence (key 'text') and its words, by part of speech."""
    verb, adverbs = rng.choice(VERBS)
    words = {
        'adjective': rng.choice(ADJECTIVES),
        'noun': rng.choice(NOUNS),
        'verb': verb,
        'adverb': rng.choice(adverbs),
        'preposition': rng.choice(PREPOSITIONS),
        'place': rng.choice(PLACES),
    }
    start = 'the {adjective} {noun}'
    end = '{verb} {adverb} {preposition} the {place}.'
    template = rng.choice(
        (
            f'{start} {end}',
            f'{start} {{adverb}} {{verb}} {{preposition}} the {{place}}.',
            f'{{preposition}} the {{place}}, {start} {{verb}} {{adverb}}.',
        )
    )
    words['text'] = english.upper_first(template.format(**words))
    return words
