"""Numbers, days and clock times in words and figures."""

import calendar

from fedprompt_jax.data.corpus import english

SMALL = english.words(
    'zero one two three four five six seven eight nine ten eleven twelve '
    'thirteen fourteen fifteen sixteen seventeen eighteen nineteen'
)
TENS = english.words('twenty thirty forty fifty sixty seventy eighty ninety')
ORDINALS = {
    'one': 'first',
    'two': 'second',
    'three': 'third',
    'five': 'fifth',
    'eight': 'eighth',
    'nine': 'ninth',
    'twelve': 'twelfth',
}
ROMAN = (
    (1000, 'M'),
    (900, 'CM'),
    (500, 'D'),
    (400, 'CD'),
    (100, 'C'),
    (90, 'XC'),
    (50, 'L'),
    (40, 'XL'),
    (10, 'X'),
    (9, 'IX'),
    (5, 'V'),
    (4, 'IV'),
    (1, 'I'),
)
MONTHS = list(calendar.month_name)[1:]
DAYS = list(calendar.day_name)


def in_words(n: int, joint: str = ' and ') -> str:
    """The number 0 <= n < 10,000 in words; `joint` follows the hundreds."""
    if n < 20:
        return SMALL[n]
    if n < 100:
        unit = f'-{SMALL[n % 10]}' if n % 10 else ''
        return TENS[n // 10 - 2] + unit
    if n < 1000:
        head, rest = SMALL[n // 100] + ' hundred', n % 100
        return head + (joint + in_words(rest) if rest else '')
    head, rest = SMALL[n // 1000] + ' thousand', n % 1000
    if not rest:
        return head
    return head + (joint if rest < 100 else ' ') + in_words(rest, joint)


def ordinal_words(n: int) -> str:
    """The ordinal of n in words, such as 'twenty-third'."""
    words = in_words(n)
    cut = max(words.rfind(' '), words.rfind('-')) + 1
    head, last = words[:cut], words[cut:]
    if last in ORDINALS:
        return head + ORDINALS[last]
    if last.endswith('y'):
        return head + last[:-1] + 'ieth'
    return head + last + 'th'


def ordinal_figures(n: int) -> str:
    """The ordinal of n in figures, such as '23rd'."""
    if n % 100 in (11, 12, 13):
        return f'{n}th'
    return f'{n}' + {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')


def roman(n: int) -> str:
    """The Roman numeral of 1 <= n < 4,000."""
    out = ''
    for value, sign in ROMAN:
        out += sign * (n // value)
        n %= value
    return out


def clock_words(hour: int, minute: int) -> list[str]:
    """The time as it is spoken; hour 1-12, minute a multiple of 5."""
    this, following = SMALL[hour], SMALL[hour % 12 + 1]
    if minute == 0:
        return [f"{this} o'clock"]
    if minute == 15:
        return [f'quarter past {this}', f'a quarter past {this}']
    if minute == 30:
        return [f'half past {this}', f'{this} thirty']
    if minute == 45:
        return [f'quarter to {following}', f'a quarter to {following}']
    if minute < 30:
        return [f'{in_words(minute)} past {this}']
    return [f'{in_words(60 - minute)} to {following}']


def twelve_hour(hour: int, minute: int) -> list[str]:
    """A 24-hour time on the 12-hour clock, in two spellings."""
    half = 'AM' if hour < 12 else 'PM'
    time = f'{(hour - 1) % 12 + 1}:{minute:02d}'
    return [f'{time} {half}', f'{time} {half[0].lower()}.m.']
