"""The right answers of the embedded corpus follow from their questions."""

import datetime
import re

from fedprompt_jax.data.corpus import numerals
from fedprompt_jax.data.corpus.words import adjectives, opposites, synonyms
from fedprompt_jax.data.corpus.words.geography import CAPITALS
from fedprompt_jax.data.corpus.words.nouns import PLURALS
from fedprompt_jax.data.corpus.words.stories import STORIES
from fedprompt_jax.data.corpus.words.verbs import VERBS
from tests.corpus_test import decode, instances


def numbers_in(text: str) -> list[int]:
    return [int(n) for n in re.findall(r'\d+', text)]


def test_story_sums_are_right():
    for text, (figures, words) in instances('adding_story'):
        assert int(figures) == decode(words) == sum(numbers_in(text))
    for text, (figures, words) in instances('taking_story'):
        a, b = numbers_in(text)
        assert int(figures) == decode(words) == a - b
    for text, references in instances('total_price'):
        price, count = numbers_in(text)
        assert {*map(int, re.findall(r'\d+', ' '.join(references)))} == {
            price * count
        }
    for text, (answer,) in instances('who_has_more'):
        counts = dict(re.findall(r'(\w+) has (\d+) ', text))
        (less, few), (more, many) = sorted(
            counts.items(), key=lambda pair: int(pair[1])
        )
        assert less != more
        assert answer == f'{more}, {int(many) - int(few)}'


def labels(name: str, right) -> None:
    """Sees that answers are called correct just where they are right."""
    found = instances(name)
    for text, (label,) in found:
        assert label == ('correct' if right(text) else 'incorrect'), text
    assert len({label for _, (label,) in found}) == 2


def test_verified_answers_are_right():
    def capital(text):
        country, city = re.findall(r'of (.*)\? Answer: (.*)', text)[0]
        return CAPITALS[country] == city

    def total(text):
        a, sign, b, answer = re.findall(
            r'(\d+) (plus|minus) (\d+)\? Answer: (-?\d+)', text
        )[0]
        found = int(a) + int(b) if sign == 'plus' else int(a) - int(b)
        return found == int(answer)

    def plural(text):
        noun, answer = re.findall(r'"(.*)"\? Answer: (.*)', text)[0]
        return answer in PLURALS[noun]

    def reading(text):
        story, question = text.split(' Question: ')
        name, day = re.findall(r'did (\w+) .* on (\w+)', question)[0]
        return bool(re.search(rf'{name} \w+ on {day}', story))

    labels('verify_capital', capital)
    labels('verify_sum', total)
    labels('verify_plural', plural)
    labels('verify_reading', reading)


def test_dates_and_days_are_right():
    for text, (answer,) in instances('date_to_figures'):
        date = datetime.date.fromisoformat(answer)
        year, day = str(date.year), str(date.day)
        assert numerals.MONTHS[date.month - 1] in text and year in text
        assert re.search(rf'\b{day}(st|nd|rd|th)?\b', text.replace(year, ''))
    for text, (first, second) in instances('date_to_words'):
        date = datetime.date.fromisoformat(text.split()[1])
        for answer, form in ((first, '%B %d, %Y'), (second, '%d %B %Y')):
            found = datetime.datetime.strptime(answer, form)
            assert found.date() == date
    for text, (answer, _) in instances('time_to_twelve_hours'):
        time = datetime.datetime.strptime(text.split()[1], '%H:%M')
        assert datetime.datetime.strptime(answer, '%I:%M %p') == time
    for text, (answer,) in instances('weekday_counting'):
        today, shift = re.findall(
            r'is (\w+)\..* ([\w-]+) days(?: ago)?\?', text
        )[0]
        shift = decode(shift) * (-1 if 'ago' in text else 1)
        there = (numerals.DAYS.index(today) + shift) % 7
        assert answer == numerals.DAYS[there]


def test_programs_give_what_they_compute():
    def numbers(items):
        return [int(item) for item in items]

    programs = {
        'sort_numbers': lambda items: sorted(numbers(items)),
        'alphabetize_words': sorted,
        'reverse_list': lambda items: list(reversed(items)),
        'keep_even_numbers': lambda items: [
            n for n in numbers(items) if n % 2 == 0
        ],
    }
    for name, program in programs.items():
        for text, (answer,) in instances(name):
            items = text.split(': ', 1)[1].split(', ')
            assert answer == ', '.join(map(str, program(items)))
    for text, (answer,) in instances('count_word'):
        items, word = re.findall(r'List: (.*)\. Count: (.*)', text)[0]
        assert int(answer) == items.split(', ').count(word) > 0


def test_what_came_first_is_what_the_story_begins_with():
    firsts = {story[0]: story[-1] for story in STORIES}
    for text, (first,) in instances('what_came_first'):
        last = firsts[first]
        earlier, later = text.lower().find(first.lower()), text.find(last)
        assert earlier >= 0 and later >= 0
        # 'A before B', 'B after A', 'After A, B', 'Before B, A'.
        a_first = text.startswith('Sentence: After') or ' before ' in text
        assert (earlier < later) == a_first


def test_relations_of_words_are_those_of_the_tables():
    for text, (label,) in instances('synonyms_or_antonyms'):
        a, b = text.removeprefix('Words: ').split(', ')
        assert (b in synonyms.SYNONYMS.get(a, [])) == (label == 'synonyms')
        assert (b in opposites.ANTONYMS.get(a, [])) == (label == 'antonyms')
    for text, (label,) in instances('form_of_word'):
        a, b = text.removeprefix('Words: ').split(', ')
        comparatives, superlatives = adjectives.DEGREES.get(a, ([], []))
        forms = {
            'plural': PLURALS.get(a, []),
            'past tense': VERBS[a].pasts if a in VERBS else [],
            'comparative': comparatives,
            'superlative': superlatives,
        }
        assert b in forms[label], text


def test_analogies_are_those_of_the_tables():
    tables = {
        'capital': {k: [v] for k, v in CAPITALS.items()},
        'past_tense': {k: list(v.pasts) for k, v in VERBS.items()},
        'antonym': opposites.ANTONYMS,
        'comparative': {k: v[0] for k, v in adjectives.DEGREES.items()},
    }
    for name, table in tables.items():
        for text, answers in instances(f'{name}_analogy'):
            a, b, c = re.findall(r'(.*) : (.*)\. (.*) : \?', text)[0]
            assert table[a][0] == b and table[c] == answers
