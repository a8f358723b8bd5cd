"""Adjectives in the three degrees of comparison."""

from fedprompt_jax.data.corpus import english

# Those that take -er and -est.
SHORT = english.words("""
angry bold brave brief bright broad busy calm cheap clean clear close cloudy
clumsy cold cool crazy crispy curly cute damp dark deep dense dirty dry dull
early easy faint fair fast fine firm fresh funny fuzzy gloomy grand greasy great
greedy hairy happy hard harsh healthy heavy high hungry juicy kind large late
lazy light long loose loud low lucky mean messy mild muddy narrow near neat new
nice noisy old pale plain poor pretty proud pure quick rainy rare rich ripe
rough rude rusty safe salty scary sharp shiny short silly sleepy slow small
smart smooth soft spicy steep strange strict strong sunny sweet tall tasty
thick tidy tight tiny tough ugly warm weak wealthy weird wide wild windy wise
young
""")
DOUBLING = english.words('big dim fat fit flat hot red sad slim thin wet')
LONG = english.words("""
active afraid beautiful boring careful careless comfortable complicated
confident creative curious dangerous delicious difficult elegant exciting
expensive famous generous helpful important intelligent interesting modern
nervous patient peaceful popular powerful reliable serious successful talented
tired useful valuable
""")
IRREGULAR = {
    'good': (['better'], ['best']),
    'bad': (['worse'], ['worst']),
    'far': (['farther', 'further'], ['farthest', 'furthest']),
    'clever': (['cleverer', 'more clever'], ['cleverest', 'most clever']),
    'friendly': (
        ['friendlier', 'more friendly'],
        ['friendliest', 'most friendly'],
    ),
    'polite': (['politer', 'more polite'], ['politest', 'most polite']),
    'quiet': (['quieter'], ['quietest']),
    'simple': (['simpler', 'more simple'], ['simplest', 'most simple']),
    'gentle': (['gentler', 'more gentle'], ['gentlest', 'most gentle']),
    'lonely': (['lonelier', 'more lonely'], ['loneliest', 'most lonely']),
}


def _stem(adjective: str) -> str:
    if adjective in DOUBLING:
        return adjective + adjective[-1]
    if adjective.endswith('y'):
        return adjective[:-1] + 'i'
    return adjective.removesuffix('e')


def _degrees() -> dict[str, tuple[list[str], list[str]]]:
    table = {
        word: ([_stem(word) + 'er'], [_stem(word) + 'est'])
        for word in SHORT + DOUBLING
    }
    table |= {word: ([f'more {word}'], [f'most {word}']) for word in LONG}
    return table | IRREGULAR


DEGREES = _degrees()  # adjective -> (comparatives, superlatives)
