"""Things by their kind, and things by the whole that they are a part of."""

from fedprompt_jax.data.corpus import english

# kind, or 'kind/wider kind' where both name the thing well.
_KINDS = {
    'bird/animal': """crow eagle falcon flamingo ostrich owl parrot peacock
        penguin pigeon robin seagull sparrow swan woodpecker""",
    'mammal/animal': """bear camel cow dog elephant fox giraffe goat hedgehog
        horse kangaroo lion monkey rabbit sheep squirrel tiger wolf zebra""",
    'fish/animal': 'carp cod herring salmon sardine shark trout tuna',
    'insect/animal': """ant bee beetle butterfly cockroach dragonfly grasshopper
        mosquito moth termite wasp""",
    'reptile/animal': 'alligator crocodile gecko iguana lizard snake tortoise',
    'fruit': """apple apricot banana cherry grape lemon mango peach pear
        pineapple plum raspberry strawberry""",
    'vegetable': """asparagus broccoli cabbage carrot cauliflower celery leek
        lettuce onion potato radish spinach turnip""",
    'drink/beverage': 'beer cocoa coffee juice lemonade milk tea wine',
    'furniture': """armchair bed bench bookcase chair cupboard desk dresser sofa
        stool table wardrobe""",
    'clothing/clothes': """blouse coat dress glove jacket jeans shirt skirt sock
        sweater trousers vest""",
    'tool': """axe chisel drill hammer pliers rake saw screwdriver shovel spade
        wrench""",
    'musical instrument/instrument': """accordion banjo cello clarinet drum
        flute guitar harp piano saxophone trombone trumpet violin""",
    'vehicle': """ambulance bicycle bus car helicopter lorry motorcycle scooter
        taxi tractor train tram truck van""",
    'profession/job/occupation': """accountant architect baker butcher carpenter
        dentist electrician farmer journalist lawyer librarian nurse plumber
        surgeon teacher""",
    'sport': """badminton baseball basketball football golf hockey judo karate
        rugby tennis volleyball""",
    'color/colour': 'black blue brown green grey pink purple red white yellow',
    'metal': 'aluminium copper gold iron lead nickel platinum silver tin zinc',
    'flower/plant': 'daffodil daisy lily orchid poppy rose sunflower tulip',
    'tree/plant': 'beech birch cedar elm maple oak pine willow',
    'body part/part of the body': """ankle arm chin ear elbow finger knee leg
        neck nose shoulder thumb wrist""",
    'shape': 'circle hexagon oval pentagon rectangle square triangle',
    'language': 'Arabic English French German Italian Japanese Spanish Turkish',
    'building': """castle cathedral church cottage hospital library museum
        school skyscraper theatre""",
    'gem/gemstone/jewel': 'diamond emerald ruby sapphire topaz',
    'planet': 'Jupiter Mars Neptune Saturn Uranus Venus',
    'month': """January February April June July August September October
        November December""",
    'day/day of the week': """Monday Tuesday Wednesday Thursday Friday Saturday
        Sunday""",
    'season': 'autumn spring summer winter',
    'emotion/feeling': 'anger fear happiness jealousy joy sadness',
}
KINDS = {key: english.words(text) for key, text in _KINDS.items()}
KIND_NAME = {key: key.split('/')[0] for key in KINDS}

# part | whole | realm; a part of one realm is no part of a whole of another,
# and 'any' marks a part (or a whole) of which this may not be said
PARTS = english.rows("""
wheel|car|artifact
engine|truck|artifact
petal|flower|plant
branch|tree|plant
leaf|plant|any
page|book|text
chapter|novel|text
roof|house|artifact
window|building|any
finger|hand|animal
toe|foot|animal
keyboard|computer|artifact
screen|phone|any
wing|bird|any
tail|dog|any
trunk|elephant|any
handle|door|any
sleeve|shirt|clothes
pocket|jacket|clothes
string|guitar|any
pedal|bicycle|artifact
saddle|motorcycle|artifact
sail|boat|artifact
anchor|ship|artifact
blade|knife|any
heel|shoe|any
eyelid|eye|animal
nostril|nose|animal
tooth|mouth|any
root|tree|any
seed|apple|any
shell|egg|any
fin|fish|any
scale|lizard|any
hoof|horse|animal
horn|goat|any
lens|camera|any
drawer|desk|artifact
cushion|sofa|artifact
pillow|bed|any
step|staircase|any
carriage|train|artifact
cockpit|plane|artifact
mane|lion|animal
beak|parrot|animal
feather|owl|animal
sole|boot|any
shoelace|shoe|clothes
bristle|brush|artifact
bulb|lamp|any
key|piano|any
stanza|poem|text
letter|word|any
word|sentence|text
player|team|any
minute|hour|time
day|week|time
month|year|time
classroom|school|artifact
ward|hospital|artifact
stage|theatre|any
platform|station|any
kitchen|house|any
twig|tree|plant
thorn|rose|plant
yolk|egg|food
crust|pie|food
lid|jar|any
hand|clock|any
button|shirt|any
rung|ladder|any
spoke|wheel|any
hinge|door|any
lace|boot|any
collar|shirt|clothes
hood|jacket|clothes
heel|foot|animal
knuckle|hand|animal
eyebrow|face|animal
chin|face|animal
elbow|arm|animal
knee|leg|animal
gill|fish|any
paw|cat|any
whisker|cat|any
claw|eagle|animal
hump|camel|animal
antler|deer|animal
chimney|house|artifact
attic|house|artifact
ceiling|room|any
shelf|bookcase|artifact
hull|ship|artifact
rudder|boat|artifact
mast|boat|artifact
windscreen|car|artifact
bonnet|car|artifact
handlebar|bicycle|artifact
propeller|plane|artifact
burner|stove|artifact
spout|teapot|artifact
cork|bottle|any
stem|glass|any
bridge|violin|any
stalk|mushroom|any
bark|tree|plant
kernel|nut|any
core|apple|any
peel|orange|any
verse|song|text
paragraph|essay|text
syllable|word|any
second|minute|time
hand|watch|any
goalkeeper|team|any
act|play|any
aisle|church|any
runway|airport|artifact
""")
