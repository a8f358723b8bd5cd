"""Verbs with their real forms."""

import dataclasses

from fedprompt_jax.data.corpus import english

# base, past, participle; 'a/b' where both are in use, the commoner first.
IRREGULAR = """
arise arose arisen
beat beat beaten
become became become
begin began begun
bend bent bent
bite bit bitten
bleed bled bled
blow blew blown
break broke broken
breed bred bred
bring brought brought
build built built
burn burned/burnt burned/burnt
buy bought bought
catch caught caught
choose chose chosen
come came come
creep crept crept
cut cut cut
deal dealt dealt
dig dug dug
do did done
draw drew drawn
dream dreamed/dreamt dreamed/dreamt
drink drank drunk
drive drove driven
eat ate eaten
fall fell fallen
feed fed fed
feel felt felt
fight fought fought
find found found
flee fled fled
fly flew flown
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
get got got
give gave given
go went gone
grind ground ground
grow grew grown
have had had
hear heard heard
hide hid hidden
hit hit hit
hold held held
keep kept kept
kneel knelt/kneeled knelt/kneeled
knit knitted/knit knitted/knit
know knew known
lay laid laid
lead led led
leap leaped/leapt leaped/leapt
learn learned/learnt learned/learnt
leave left left
lend lent lent
let let let
light lit/lighted lit/lighted
lose lost lost
make made made
mean meant meant
meet met met
pay paid paid
put put put
read read read
ride rode ridden
ring rang rung
rise rose risen
run ran run
say said said
see saw seen
seek sought sought
sell sold sold
send sent sent
shake shook shaken
shoot shot shot
show showed shown
shrink shrank shrunk
shut shut shut
sing sang sung
sink sank sunk
sit sat sat
sleep slept slept
slide slid slid
smell smelled/smelt smelled/smelt
speak spoke spoken
spell spelled/spelt spelled/spelt
spend spent spent
spill spilled/spilt spilled/spilt
spin spun spun
split split split
spread spread spread
spring sprang sprung
stand stood stood
steal stole stolen
stick stuck stuck
sting stung stung
strike struck struck
swear swore sworn
sweep swept swept
swell swelled swollen
swim swam swum
swing swung swung
take took taken
teach taught taught
tear tore torn
tell told told
think thought thought
throw threw thrown
understand understood understood
wake woke woken
wear wore worn
weave wove woven
weep wept wept
win won won
write wrote written
"""
REGULAR = """
accept add admire admit agree allow answer apologize appear argue arrive ask
attack attend avoid bake beg believe belong blame borrow bounce breathe brush
calculate call carry celebrate change chase check chew clap clean climb close
collect compare complain continue cook copy count cover cross cry dance decide
decorate deliver deny describe destroy develop disagree discover discuss divide
drag drop dry earn encourage enjoy escape examine explain explore fail fasten
fill finish fix float fold follow frighten fry gather grab greet grill guess
happen hate help hire hop hug hurry imagine improve invent invite jog join
juggle jump kick kiss knock laugh lift like listen live lock look love
manage marry measure melt mend miss mix mop move need nod notice obey observe
offer open order organize own pack paint park pass paste peel phone pick pin
plan plant play please plug polish pour practise pray prefer prepare promise
protect provide pull punish push rain raise reach receive record refuse regret
remember remove repair repeat reply rescue rest return reuse rob roll rub rush
save scan scold scratch scream serve shave shop shout sign skate skip slip
smile sneeze sort stare start stay step stir stop study suggest supply surprise
talk taste thank tidy touch trace train trap trim trip trust try turn type use
vanish visit vote wait walk want warn wash waste watch water whisper wipe wish
wonder work worry wrap yawn zip
"""
DOUBLING = english.words(
    'admit beg clap drag drop grab hop hug jog knit mop nod pin plan plug '
    'prefer regret rob rub scan shop skip slip step stir stop trap trim trip '
    'wrap zip '
    'begin cut dig forget get hit let put run shut sit spin split swim win'
)
THIRD = {'be': 'is', 'do': 'does', 'go': 'goes', 'have': 'has'}


@dataclasses.dataclass(frozen=True)
class Verb:
    """A verb's forms; `pasts` and `participles` have the commoner one first."""

    base: str
    third: str
    ing: str
    pasts: tuple[str, ...]
    participles: tuple[str, ...]

    @property
    def past(self) -> str:
        return self.pasts[0]

    @property
    def participle(self) -> str:
        return self.participles[0]


def _verb(base: str, past: str, participle: str) -> Verb:
    return Verb(
        base,
        THIRD.get(base, english.add_s(base)),
        english.add_ing(base, base in DOUBLING),
        tuple(past.split('/')),
        tuple(participle.split('/')),
    )


def _table() -> dict[str, Verb]:
    table = {}
    for line in IRREGULAR.strip().splitlines():
        table[line.split()[0]] = _verb(*line.split())
    for base in english.words(REGULAR):
        past = english.add_ed(base, base in DOUBLING)
        table[base] = _verb(base, past, past)
    return table


VERBS = _table()
# Verbs whose past cannot be told from the base form: go, but not cut or burn.
CHANGING = {
    base: VERBS[base]
    for base in (line.split()[0] for line in IRREGULAR.strip().splitlines())
    if base not in VERBS[base].pasts
    and english.add_ed(base, base in DOUBLING) not in VERBS[base].pasts
}
