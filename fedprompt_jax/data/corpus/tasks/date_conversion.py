"""Dates, weekdays and clock times between their forms."""

import calendar
import random

from fedprompt_jax.data.corpus import numerals
from fedprompt_jax.data.corpus.registry import Pairs, task

CATEGORY = 'Date Conversion'
REASONING = ('Temporal Reasoning',)


def some_date(rng: random.Random) -> tuple[int, int, int]:
    """A year, a month and a day that exists in it."""
    year, month = rng.randrange(1900, 2030), rng.randrange(1, 13)
    return year, month, rng.randint(1, calendar.monthrange(year, month)[1])


@task(
    CATEGORY,
    'You are given a date in words. Write it in the form YYYY-MM-DD.',
    'The year, the month and the day are those of the given date.',
    ('Date: 3 March 1998', '1998-3-3', 'Month and day need two figures.'),
    REASONING,
)
def date_to_figures(rng: random.Random) -> Pairs:
    while True:
        year, month, day = some_date(rng)
        name = numerals.MONTHS[month - 1]
        text = rng.choice(
            (
                f'{day} {name} {year}',
                f'{name} {day}, {year}',
                f'the {numerals.ordinal_figures(day)} of {name} {year}',
            )
        )
        yield f'Date: {text}', [f'{year}-{month:02d}-{day:02d}']


@task(
    CATEGORY,
    'You are given a date in the form YYYY-MM-DD. Write it with the name of '
    'the month.',
    'The year, the month and the day are those of the given date.',
    ('Date: 1998-03-05', 'May 3, 1998', 'Month and day are swapped.'),
    REASONING,
)
def date_to_words(rng: random.Random) -> Pairs:
    while True:
        year, month, day = some_date(rng)
        name = numerals.MONTHS[month - 1]
        yield (
            f'Date: {year}-{month:02d}-{day:02d}',
            [f'{name} {day}, {year}', f'{day} {name} {year}'],
        )


@task(
    CATEGORY,
    'You are given a time on the 24-hour clock. Write it on the 12-hour clock.',
    'Both are the same time of the day.',
    ('Time: 17:45', '5:45 AM', '17:45 is in the afternoon: 5:45 PM.'),
    REASONING,
)
def time_to_twelve_hours(rng: random.Random) -> Pairs:
    while True:
        hour, minute = rng.randrange(24), rng.randrange(60)
        yield (
            f'Time: {hour:02d}:{minute:02d}',
            numerals.twelve_hour(hour, minute),
        )


@task(
    CATEGORY,
    'You are told how a clock reads. Write the time in words, as it is spoken.',
    'The words tell the time that the clock reads.',
    ('The clock reads 9:45.', 'quarter past nine', 'It is quarter to ten.'),
    REASONING,
)
def time_to_words(rng: random.Random) -> Pairs:
    heads = ('The clock reads', 'The train leaves at', 'The film starts at')
    while True:
        hour, minute = rng.randint(1, 12), 5 * rng.randrange(12)
        text = f'{rng.choice(heads)} {hour}:{minute:02d}.'
        yield text, numerals.clock_words(hour, minute)


@task(
    CATEGORY,
    'You are told which day of the week it is and asked about another day. '
    'Write the name of that day.',
    'Counting the days forwards or backwards leads to this day.',
    (
        'Today is Monday. Which day will it be in two days?',
        'Tuesday',
        'In two days it will be Wednesday.',
    ),
    REASONING,
)
def weekday_counting(rng: random.Random) -> Pairs:
    while True:
        start, shift = rng.randrange(7), rng.randint(2, 20)
        count = numerals.in_words(shift)
        today = f'Today is {numerals.DAYS[start]}.'
        if rng.random() < 0.5:
            text = f'{today} Which day will it be in {count} days?'
            yield text, [numerals.DAYS[(start + shift) % 7]]
        else:
            text = f'{today} Which day was it {count} days ago?'
            yield text, [numerals.DAYS[(start - shift) % 7]]
