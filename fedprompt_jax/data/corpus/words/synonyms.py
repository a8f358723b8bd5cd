"""Groups of words that may stand for each other, each word in one group."""

GROUPS = [
    tuple(row.split(' / '))
    for row in """
abandon / desert / forsake
ability / skill / talent
afraid / scared / frightened
amazing / astonishing / astounding
angry / furious / mad
annoy / irritate / bother
answer / reply / response
ask / inquire
assist / help / aid
automobile / car
baby / infant
begin / start / commence
big / large
brave / courageous / fearless
broad / wide
build / construct
buy / purchase
calm / peaceful / tranquil
cheerful / happy / glad
choose / select / pick
clever / smart / intelligent
conceal / hide
correct / right / accurate
couch / sofa
courteous / polite
dangerous / hazardous / risky
delicious / tasty
demonstrate / show
desire / wish / want
difficult / hard / tough
disappear / vanish
doctor / physician
dwell / live / reside
easy / simple
empty / vacant
end / finish / conclude
enemy / foe
enormous / huge / gigantic
error / mistake
evil / wicked
exhausted / weary / tired
expensive / costly
famous / renowned / well-known
fast / quick / rapid
fix / repair / mend
foolish / silly
fortunate / lucky
gather / collect / assemble
gift / present
gloomy / dismal
graceful / elegant
grateful / thankful
ground / soil / earth
grow / expand / increase
handsome / good-looking
happen / occur
harm / damage / injure
hate / detest / loathe
hurry / rush
idea / notion
ill / sick / unwell
imitate / copy / mimic
important / significant
jump / leap
journey / trip
keep / retain
kind / considerate
leave / depart
liberty / freedom
little / small
lonely / solitary
middle / center
minor / unimportant
modern / contemporary
movie / film
naughty / mischievous
near / close
necessary / essential
neat / tidy / orderly
noisy / loud
obtain / get / acquire
odd / strange / peculiar
often / frequently
old / aged / elderly
opponent / rival
permit / allow
picture / image
plentiful / abundant
powerful / mighty
pretty / attractive
prohibit / forbid / ban
rare / uncommon
reduce / decrease / lessen
refuse / decline / reject
rescue / save
rich / wealthy / affluent
road / street
rock / stone
sad / unhappy / sorrowful
seldom / rarely
shout / yell / scream
shy / timid
silent / mute
sleepy / drowsy
slender / slim / thin
stubborn / obstinate
student / pupil
sufficient / enough / adequate
suggest / propose
surprised / astonished / amazed
take part / participate
talk / speak / chat
teacher / instructor
tease / taunt
terrible / awful / dreadful
timetable / schedule
try / attempt
ugly / unsightly
uncertain / unsure / doubtful
unite / join / combine
useless / worthless
usual / normal / ordinary
victory / triumph
weak / feeble / frail
wonderful / marvelous
worry / fret
yearly / annual
""".strip().splitlines()
]
SYNONYMS = {
    word: [other for other in group if other != word]
    for group in GROUPS
    for word in group
}
