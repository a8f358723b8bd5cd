"""Feelings in reviews and in stories."""

import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.registry import Pairs, task
from fedprompt_jax.data.corpus.words import people

CATEGORY = 'Sentiment Analysis'

# what is judged | good things to say | bad things to say
ASPECTS = [
    (noun, good.split('/'), bad.split('/'))
    for noun, good, bad in english.rows("""
the soup|was delicious/tasted wonderful|was cold/tasted of nothing
the waiter|was friendly/was quick and polite|was rude/ignored us all evening
the room|was clean and bright/was cosy|smelled of smoke/was dirty
the bed|was very comfortable/was soft|was hard as a rock/was broken
the view|was breathtaking/was lovely|was just a brick wall/was disappointing
the staff|were helpful/were kind|were unfriendly/were impatient
the film|was exciting/kept us laughing|was dull/was far too long
the acting|was superb/was convincing|was wooden/was terrible
the music|was beautiful/was a delight|was far too loud/was awful
the book|was hard to put down/was gripping|was boring/made no sense
the ending|was perfect/was a lovely surprise|was silly/was disappointing
the battery|lasts for days/charges quickly|dies within an hour/is useless
the screen|is sharp and bright/is excellent|is dim/cracked on the first day
the camera|takes great photos/works very well|takes blurry photos/is poor
the delivery|was fast/came a day early|came two weeks late/was a disaster
the price|was very fair/was a bargain|was far too high/was outrageous
the coffee|was excellent/smelled heavenly|was weak/was bitter and cold
the guide|was funny and clever/knew everything|was bored/was hard to follow
the shoes|fit perfectly/are very comfortable|hurt my feet/fell apart
the beach|was clean and quiet/was gorgeous|was full of rubbish/was filthy
""")
]


def review(rng: random.Random, kinds: tuple[bool, bool]) -> tuple[str, str]:
    """Two clauses about two things; `kinds` says which of them are good."""
    (a, good_a, bad_a), (b, good_b, bad_b) = rng.sample(ASPECTS, 2)
    first = rng.choice(good_a if kinds[0] else bad_a)
    second = rng.choice(good_b if kinds[1] else bad_b)
    return f'{a} {first}', f'{b} {second}'


@task(
    CATEGORY,
    'You are given a short review. Answer "positive" if the writer is pleased '
    'and "negative" if the writer is not.',
    'The label fits what the writer says.',
    (
        'Review: The food was awful and the waiter was slow.',
        'positive',
        'The writer complains about the food and the waiter.',
    ),
    domains=('Reviews',),
)
def sentiment_of_review(rng: random.Random) -> Pairs:
    while True:
        good = rng.random() < 0.5
        first, second = review(rng, (good, good))
        text = f'Review: {english.upper_first(first)} and {second}.'
        yield text, ['positive' if good else 'negative']


@task(
    CATEGORY,
    'You are given a review that praises one thing and complains about '
    'another, and the name of one of the two. Say whether the opinion about '
    'that thing is "positive" or "negative".',
    'The label fits what is said about that thing, whatever is said about the '
    'other one.',
    (
        'Review: The food was cold, but the cook was kind. Aspect: food',
        'positive',
        'The praise is for the cook; the food was cold.',
    ),
    domains=('Reviews',),
)
def sentiment_of_aspect(rng: random.Random) -> Pairs:
    while True:
        good = rng.random() < 0.5
        parts = review(rng, (good, not good))
        which = rng.randrange(2)
        aspect = parts[which].split()[1]
        text = f'{english.upper_first(parts[0])}, but {parts[1]}.'
        label = 'positive' if good == (which == 0) else 'negative'
        yield f'Review: {text} Aspect: {aspect}', [label]


EMOTIONS = {
    'joy': """{name} danced around the room because {he} had passed the exam.
{name} could not stop smiling when the puppy ran to {him}.
{name} laughed and hugged {his} friends after the match.
{name} sang all day because the holidays had begun.
{name} jumped up and cheered when {his} team won.
{name} was thrilled with the present from {his} grandmother.
{name} clapped {his} hands when the first snow fell.
{name} beamed when {his} painting won first prize.""",
    'sadness': """{name} cried when {his} old dog died.
{name} sat alone and wept after the funeral.
{name} felt heartbroken when {his} best friend moved away.
{name} missed {his} family so much that tears came to {his} eyes.
{name} was gloomy for weeks after losing {his} job.
{name} looked at the empty chair and began to sob.
{name} stayed in bed all day because {he} felt so unhappy.
{name} sighed and wiped away a tear when the letter came.""",
    'anger': """{name} slammed the door and shouted at {his} neighbour.
{name} was furious because somebody had scratched {his} car.
{name} banged {his} fist on the table during the quarrel.
{name} yelled at the driver who had cut in front of {him}.
{name} tore up the unfair bill in a rage.
{name} was outraged that {his} luggage had been lost again.
{name} shook with rage when {he} heard the lie.
{name} threw {his} racket on the ground after the bad call.""",
    'fear': """{name} trembled when {he} heard footsteps in the dark.
{name} screamed when a huge spider fell on {his} arm.
{name} hid under the blanket during the thunderstorm.
{name} was terrified when the plane began to shake.
{name} froze when the snarling dog came towards {him}.
{name} dared not look down from the high bridge.
{name} turned pale when the lights suddenly went out.
{name} ran from the house because {he} thought it was haunted.""",
    'surprise': """{name} gasped when forty guests jumped out of the dark.
{name} could hardly believe {his} eyes when snow fell in July.
{name} stared in astonishment when the cat opened the door.
{name} was amazed to meet {his} old teacher on a tiny island.
{name} did not expect a parcel and was astonished to get three.
{name} raised {his} eyebrows when the shy boy began to sing.
{name} was speechless when the magician made the car vanish.
{name} blinked twice, for nobody had told {him} about the party.""",
}


@task(
    CATEGORY,
    'You are given a sentence about somebody. Name what he or she feels: joy, '
    'sadness, anger, fear or surprise.',
    'What the person does or says shows this feeling.',
    (
        'Sentence: The boy shivered and hid behind his mother.',
        'anger',
        'Shivering and hiding are signs of fear.',
    ),
    domains=('Narrative',),
)
def emotion_of_person(rng: random.Random) -> Pairs:
    while True:
        emotion = rng.choice(list(EMOTIONS))
        template = rng.choice(EMOTIONS[emotion].splitlines())
        name = rng.choice(people.NAMES)
        yield f'Sentence: {people.fill(template, name)}', [emotion]
