"""Adjectives that are opposites of each other."""

from fedprompt_jax.data.corpus import english

# left / left | right / right: every left word is opposite to every right one.
OPPOSITES = """
absent|present
active|passive
alive|dead
ancient|modern
asleep|awake
beautiful/attractive|ugly
bent|straight
big/large|small/little
bitter|sweet
boring|interesting
bold/brave|cowardly/timid
broad/wide|narrow
careful|careless
cheap|expensive
cheerful|gloomy
clean|dirty
clear|unclear
clever|stupid
cloudy|sunny
clumsy|graceful
cold|hot
comfortable|uncomfortable
common|rare
complete|incomplete
correct|incorrect/wrong
cool|warm
cruel/unkind|kind
dark|light
dangerous|safe
deep|shallow
different|same
difficult/hard|easy
direct|indirect
tame/domestic|wild
dry|wet
dull/blunt|sharp
early|late
empty|full
equal|unequal
even|odd
fair|unfair
familiar|unfamiliar
famous|unknown
fast/quick|slow
fat|thin
female|male
fertile|barren
final/last|first
flexible|rigid
foolish|wise
foreign|native
formal|informal
fresh|stale
friendly|unfriendly
frequent|infrequent
generous|stingy
gentle|rough
good|bad
guilty|innocent
happy|sad/unhappy
hard|soft
harmful|harmless
healthy|sick/ill
heavy|light
helpful|unhelpful
high|low
honest|dishonest
hopeful|hopeless
huge/enormous|tiny
humble|proud
important|unimportant
inner|outer
junior|senior
lazy|hard-working
left|right
right|wrong
legal|illegal
likely|unlikely
lively|sluggish
long|short
logical|illogical
loose|tight
loud/noisy|quiet
lucky|unlucky
major|minor
married|single
mature|immature
maximum|minimum
moral|immoral
natural|artificial
near|far
necessary|unnecessary
neat|messy
new|old
audible|inaudible
northern|southern
eastern|western
obedient|disobedient
open|closed
optimistic|pessimistic
organized|disorganized
patient|impatient
perfect|imperfect
permanent|temporary
plentiful|scarce
polite|rude/impolite
popular|unpopular
positive|negative
possible|impossible
powerful|powerless
private|public
probable|improbable
rational|irrational
raw|cooked
real|fake
regular|irregular
relevant|irrelevant
reliable|unreliable
responsible|irresponsible
rich/wealthy|poor
ripe|unripe
rural|urban
selfish|unselfish
simple|complicated
smooth|rough
sober|drunk
solid|liquid
strict|lenient
strong|weak
successful|unsuccessful
superior|inferior
tall|short
tasty|tasteless
thick|thin
true|false
usual|unusual
useful|useless
vacant|occupied
valid|invalid
visible|invisible
voluntary|compulsory
young|old
accurate|inaccurate
adequate|inadequate
certain|uncertain
available|unavailable
capable|incapable
conscious|unconscious
convenient|inconvenient
pleasant|unpleasant
willing|unwilling
"""


def _opposites() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for left, right in english.rows(OPPOSITES):
        for a in left.split('/'):
            for b in right.split('/'):
                table.setdefault(a, []).append(b)
                table.setdefault(b, []).append(a)
    return table


ANTONYMS = _opposites()
