"""The spelling rules of English that the tasks share."""

VOWELS = 'aeiou'
# Spelling misleads here: a silent h, or a u that sounds like 'you'.
SILENT_H = ('hour', 'honest', 'heir', 'honour')
SOUNDS_LIKE_YOU = ('uni', 'use', 'uku', 'euro', 'one-', 'ufo')


def words(text: str) -> list[str]:
    """The words of a block of text."""
    return text.split()


def rows(text: str) -> list[tuple[str, ...]]:
    """The lines of a table, each split at '|' and stripped."""
    return [
        tuple(cell.strip() for cell in line.split('|'))
        for line in text.strip().splitlines()
    ]


def article(noun: str) -> str:
    """'a' or 'an', whichever the noun phrase takes."""
    low = noun.lower()
    if low.startswith(SILENT_H):
        return 'an'
    if low.startswith(SOUNDS_LIKE_YOU) and not low.startswith('unin'):
        return 'a'
    return 'an' if low[0] in VOWELS else 'a'


def an(noun: str) -> str:
    """The noun phrase behind its indefinite article."""
    return f'{article(noun)} {noun}'


def the(phrase: str) -> str:
    """'a lamp', 'some apples' or 'her coat' with 'the' in front instead."""
    return 'the ' + phrase.split(' ', 1)[1]


def is_plural(phrase: str) -> bool:
    """Whether an object such as 'some apples' is plural ('a lamp' is not)."""
    return phrase.split(' ', 1)[0] in ('some', 'two', 'three', 'several')


def upper_first(text: str) -> str:
    """The text with a capital first letter, the rest untouched."""
    return text[0].upper() + text[1:]


def title_case(text: str) -> str:
    """A headline's capitals: every word but short joining words."""
    small = ('a', 'an', 'and', 'at', 'by', 'for', 'in', 'of', 'on', 'the', 'to')
    parts = text.split()
    return ' '.join(
        word if word in small and i else upper_first(word)
        for i, word in enumerate(parts)
    )


def add_s(word: str) -> str:
    """A regular plural, or the regular third person of a verb."""
    if word.endswith(('s', 'x', 'z', 'ch', 'sh')):
        return word + 'es'
    if word.endswith('y') and word[-2] not in VOWELS:
        return word[:-1] + 'ies'
    return word + 's'


def add_ed(verb: str, doubles: bool) -> str:
    """A regular past; `doubles` says that the last consonant is doubled."""
    if doubles:
        return verb + verb[-1] + 'ed'
    if verb.endswith('e'):
        return verb + 'd'
    if verb.endswith('y') and verb[-2] not in VOWELS:
        return verb[:-1] + 'ied'
    return verb + 'ed'


def add_ing(verb: str, doubles: bool) -> str:
    """The -ing form; `doubles` says that the last consonant is doubled."""
    if doubles:
        return verb + verb[-1] + 'ing'
    if verb.endswith('ie'):
        return verb[:-2] + 'ying'
    if verb.endswith('e') and not verb.endswith(('ee', 'oe', 'ye')):
        return verb[:-1] + 'ing'
    return verb + 'ing'
