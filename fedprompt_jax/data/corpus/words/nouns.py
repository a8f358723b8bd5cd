"""Countable nouns with their plurals."""

from fedprompt_jax.data.corpus import english

# 'a/b' where both plurals are in use, the commoner first.
IRREGULAR = """
analysis analyses
appendix appendices/appendixes
axis axes
basis bases
buffalo buffaloes/buffalo/buffalos
cactus cacti/cactuses
calf calves
child children
crisis crises
criterion criteria
deer deer
diagnosis diagnoses
echo echoes
elf elves
fireman firemen
fisherman fishermen
foot feet
fungus fungi/funguses
gentleman gentlemen
goose geese
grandchild grandchildren
half halves
hero heroes
hoof hooves/hoofs
hypothesis hypotheses
index indexes/indices
knife knives
leaf leaves
life lives
loaf loaves
man men
mango mangoes/mangos
matrix matrices/matrixes
moose moose
mosquito mosquitoes/mosquitos
mouse mice
nucleus nuclei
oasis oases
ox oxen
passer-by passers-by
person people/persons
phenomenon phenomena
policewoman policewomen
potato potatoes
quiz quizzes
radius radii/radiuses
salmon salmon
scarf scarves/scarfs
self selves
series series
sheep sheep
shelf shelves
snowman snowmen
species species
stimulus stimuli
thesis theses
thief thieves
tomato tomatoes
tooth teeth
trout trout
volcano volcanoes/volcanos
wife wives
wolf wolves
woman women
"""
REGULAR = """
actor address airport ankle apple arm army artist aunt baby bag bakery ball
balloon banana bank basket bath beach bear bed bee bell belt bench berry
bicycle bird blanket boat body book boss bottle box boy branch bridge broom
brush bucket bus bush butterfly button camera candle car carrot castle cat
ceiling chair cherry chief church circus city class clock cloud coach coat coin
comb copy country couch cow crash crayon cross crown cup curtain daisy day desk
diary dictionary dish doctor dog donkey door dress driver duck duty eagle ear
egg elbow elephant enemy engine envelope essay eye eyelash factory fairy family
farmer fence ferry finger flag flower fly fork fox friend frog galaxy game
garden gate ghost giraffe girl glass glove grape guest guitar hall
hammer hand hat helmet hobby holiday horse hospital hotel hour house injury
insect island jacket jar jelly journey judge kangaroo key kiss kitchen kitten
lady ladder lake lamp lash leg lemon lens letter library lily lion lorry lunch
machine map market match melody memory monkey month mother mountain mouth
museum nail neck needle nose nurse ocean office onion orange orchestra owl page
pan party peach pencil penny photo piano picture pillow pilot pirate plate pony
pupil puppy purse queen radio rat river road robot roof rose sandwich sash
school sister sky song spoon spy stitch story street suitcase switch table
tax teacher tiger torch tourist towel tower toy tray tree trolley truck
university valley video village violin wall watch wave way window wish witch
worker zebra zoo
"""


def _table() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {
        w: (english.add_s(w),) for w in english.words(REGULAR)
    }
    for line in IRREGULAR.strip().splitlines():
        noun, plurals = line.split()
        table[noun] = tuple(plurals.split('/'))
    return table


PLURALS = _table()
