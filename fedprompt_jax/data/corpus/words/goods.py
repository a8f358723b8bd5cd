"""Things with prices, places and uses."""

from fedprompt_jax.data.corpus import english

# noun phrase without article | lowest price | highest price (whole dollars)
GOODS = [
    (thing, int(low), int(high))
    for thing, low, high in english.rows("""
red scarf|6|40
wool sweater|20|90
leather belt|9|60
pair of boots|35|160
silk tie|10|70
wooden chair|20|150
table lamp|12|95
coffee machine|30|250
alarm clock|5|40
used bicycle|40|300
tennis racket|20|180
chess set|8|75
cookbook|8|45
travel guide|7|35
umbrella|6|45
backpack|18|120
wristwatch|20|400
bunch of flowers|5|40
box of chocolates|4|35
bottle of perfume|15|120
concert ticket|20|140
train ticket|5|110
birthday cake|12|60
phone case|5|30
desk fan|14|65
frying pan|10|80
garden hose|12|50
old guitar|40|350
small rug|18|160
set of knives|15|140
""")
]
SHOPS = [
    'at the market',
    'at the department store',
    'online',
    'at the airport',
    'in a small shop',
    'at the shopping centre',
    'at a flea market',
]

# tool | what it is used for (verb phrase) | a thing it is not used for
USES = english.rows("""
a hammer|drive nails into wood|make tea
a spoon|eat soup|cut paper
a knife|cut bread|brush hair
a pair of scissors|cut paper|boil water
a needle|sew clothes|open a tin
a kettle|boil water|sew clothes
a broom|sweep the floor|write letters
a toothbrush|clean teeth|dig holes
a shovel|dig holes|clean teeth
a pen|write letters|sweep the floor
a comb|tidy hair|slice bread
a towel|dry wet hands|measure length
a ruler|measure length|dry wet hands
a thermometer|measure temperature|hammer nails
a scale|measure weight|tell the time
a clock|tell the time|cook rice
an umbrella|stay dry in the rain|paint a wall
a key|unlock a door|stir soup
a ladder|reach high places|see distant stars
a telescope|see distant stars|reach high places
a microscope|see tiny things|rake leaves
a fridge|keep food cold|heat a room
an oven|bake bread|keep food frozen
a camera|take photos|wash clothes
a washing machine|wash clothes|take photos
a rope|tie things together|light a room
a lamp|light a room|tie things together
a pillow|rest your head|cut meat
a blanket|keep warm in bed|carry water
a bucket|carry water|iron shirts
a piano|play music|sweep the floor
a saw|cut wood|iron shirts
an iron|press shirts|cut wood
a map|find the way|weigh flour
a paintbrush|paint a wall|open a bottle
a corkscrew|open a bottle of wine|paint a wall
a calculator|add numbers|water plants
a watering can|water plants|add numbers
a rake|gather fallen leaves|see tiny things
a helmet|protect the head|sharpen pencils
a mirror|see your own face|dig holes
a screwdriver|turn screws|pour juice
""")
