"""Who-does-what-where: actions that make plain, plausible sentences."""

import dataclasses
import random

from fedprompt_jax.data.corpus import english
from fedprompt_jax.data.corpus.words import people
from fedprompt_jax.data.corpus.words.verbs import VERBS, Verb

# verb | object ('some' marks a plural) | place
ACTIONS = english.rows("""
buy|a lamp|at the market
buy|some apples|at the supermarket
sell|a painting|at the fair
sell|some old books|at the market
paint|a picture|in the studio
paint|the fence|in the garden
repair|a bicycle|in the garage
repair|a clock|in the workshop
find|a wallet|on the bus
find|a gold coin|on the beach
find|some mushrooms|in the forest
lose|a glove|in the park
lose|an umbrella|on the train
cook|a big dinner|in the kitchen
bake|a chocolate cake|in the kitchen
bake|some biscuits|at school
plant|a cherry tree|behind the house
plant|some tulips|in the garden
write|a letter|at the desk
write|a short poem|in the library
read|a newspaper|on the train
read|a long novel|on the beach
draw|a map|in the classroom
draw|a horse|at school
build|a wooden bridge|in the village
build|a tree house|behind the farm
clean|the windows|at the office
wash|the dishes|in the kitchen
wash|a muddy car|outside the house
break|a vase|in the living room
break|a plate|at the restaurant
catch|a large fish|at the lake
catch|a ball|in the park
visit|a museum|in the city
visit|an old castle|in the mountains
carry|a heavy box|to the attic
carry|a suitcase|to the station
deliver|a parcel|to the office
deliver|some flowers|to the hospital
bring|a guitar|to the party
bring|some sandwiches|to the picnic
leave|a bag|at the airport
leave|a raincoat|at school
open|a small shop|in the village
open|a bakery|near the station
meet|an old friend|at the airport
meet|a famous singer|at the concert
see|a fox|in the garden
see|a rainbow|over the lake
hear|a strange noise|in the cellar
take|a photo|at the wedding
eat|a sandwich|in the park
eat|a bowl of soup|at the restaurant
drink|a cup of tea|in the kitchen
drink|a glass of juice|at the hotel
watch|a film|at the cinema
watch|a football match|at the stadium
win|a prize|at the festival
win|a medal|at the games
teach|a history class|at the university
play|a new song|at the concert
sing|a folk song|on the stage
feed|a duck|at the pond
feed|some chickens|on the farm
hide|a present|under the bed
hide|a key|under the mat
wrap|a present|in the bedroom
knit|a warm scarf|at home
borrow|a dictionary|from the library
borrow|a ladder|from the neighbours
collect|some shells|on the beach
collect|some stamps|at the post office
grow|some tomatoes|on the balcony
steal|a necklace|from the museum
throw|a stone|into the lake
order|a pizza|at the restaurant
fix|a radio|in the workshop
measure|a door|in the new house
invent|a board game|at school
organize|a meeting|at the office
""")
PLURAL_THE = ('the windows', 'the dishes')
TIMES = english.rows("""
on Monday|on Tuesday|on Wednesday|on Thursday|on Friday|on Saturday|on Sunday
yesterday|last week|last month|last summer|last winter|this morning
""")
WHEN = [time for row in TIMES for time in row]


@dataclasses.dataclass(frozen=True)
class Scene:
    """One action: `name` did `verb` to `thing` (an object) at `place`."""

    name: str
    verb: Verb
    thing: str
    place: str

    @property
    def was(self) -> str:
        """The form of "to be" that the object needs in the past."""
        plural = self.thing in PLURAL_THE or english.is_plural(self.thing)
        return 'were' if plural else 'was'


def draw_for_passive(rng: random.Random) -> Scene:
    """A scene whose passive is plain English."""
    while True:
        scene = draw_in_place(rng)
        # 'A key was lost on the train by Tom' is clumsy.
        if scene.verb.base not in ('hear', 'meet', 'win', 'lose'):
            return scene


def draw_in_place(rng: random.Random) -> Scene:
    """A scene that happens at its place, not on the way to it or from it."""
    while True:
        scene = draw(rng)
        if not scene.place.startswith(('to ', 'into ', 'from ')):
            return scene


def draw(rng: random.Random) -> Scene:
    """A random person doing a random action."""
    verb, thing, place = rng.choice(ACTIONS)
    return Scene(rng.choice(people.NAMES), VERBS[verb], thing, place)
