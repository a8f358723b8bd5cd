"""Answers of a table follow one convention, or the error shows why not."""

import pytest

from fedprompt_jax.data import sources
from tests import tiny_sources


def read(source, rows, tmp_path, **data):
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    config = tiny_sources.config(source, path, **data)
    tasks = sources.get(source).open_source(config.data).tasks()
    found = [x for task in tasks for x in task.instances]
    return [x.outputs[0] for x in sorted(found, key=lambda x: int(x.id))]


def choose(rows, tmp_path, **data):
    """The right options of rows (options, answer)."""
    lines = [{'question': 'q', 'options': o, 'answer': a} for o, a in rows]
    return read('multiple_choice', lines, tmp_path, **data)


def name(labels, words, tmp_path, **data):
    """The words of rows with these labels."""
    lines = [{'text': 't', 'label': label} for label in labels]
    data = {'labels': words} | data
    return read('classification', lines, tmp_path, **data)


ABC = ['x', 'y', 'z']


@pytest.mark.parametrize(
    ('rows', 'right'),
    [
        # Another row shows that the letters are no texts of options.
        ([(['O', 'A', 'B'], 'A'), (ABC, 'B')], ['O', 'y']),
        ([(['B', 'A', 'O'], 'A'), (ABC, 'z')], ['A', 'z']),
        ([(['2', '1', '0'], '1'), (ABC, '0')], ['1', 'x']),
        ([(['2', '3', '0'], '0'), (ABC, '3')], None),
        # A count from 1 is proven by the last option, one from 0 by a zero.
        ([(ABC, 1), (ABC, 3)], ['x', 'z']),
        ([(ABC, '2'), (['x', 'y'], '2')], ['y', 'y']),
        ([(ABC, 1), (ABC, 0)], ['y', 'x']),
        ([(ABC, True)], None),
        ([(['no', 'yes'], True), (['no', 'yes'], False)], ['yes', 'no']),
        # Letters as people write them.
        ([(ABC, 'b'), (ABC, '(C)'), (ABC, 'A.'), (ABC, ' B)')], [*'yzxy']),
        # Space around options and answers; the option stays as it is.
        ([([' pear', 'fig '], 'pear'), (['pear', 'fig'], ' fig')],
         [' pear', 'fig']),
        # Two equal options are one answer, whatever is counted from.
        ([(['x', 'y', 'y'], 2)], ['y']),
        ([(['y', 'x', 'y'], 'y')], ['y']),
        # A number is an option if the options are numbers and no count fits.
        ([([42, 41], 42), ([1, 7], 7)], ['42', '7']),
        ([(['1', '0'], 1), (['0', '1'], 0)], ['0', '0']),
        ([([0.50, 0.25], 'B')], ['0.25']),
    ],
)  # fmt: skip
def test_a_convention_is_one_that_all_rows_fit(rows, right, tmp_path):
    if right is None:
        with pytest.raises(ValueError, match=r'x\.jsonl: row \d: answer: '):
            choose(rows, tmp_path)
    else:
        assert choose(rows, tmp_path) == right


def test_the_order_of_the_rows_changes_nothing(tmp_path):
    rows = [(['O', 'A', 'B'], 'A'), (['A', 'B', 'C'], 'c'), (ABC, 'B')]
    expected = choose(rows, tmp_path)
    assert expected == ['O', 'C', 'y']
    assert choose(rows[::-1], tmp_path) == expected[::-1]


@pytest.mark.parametrize(
    ('rows', 'readings'),
    [
        ([(ABC, 2), (ABC, 1)], {'index0': [*'zy'], 'index1': [*'yx']}),
        ([(['B', 'A'], 'B')], {'text': ['B'], 'letter': ['A']}),
        ([(['2', '3', '1'], '1')], {'text': ['1'], 'index0': ['3']}),
        ([(['True', 'False'], True)], {'text': ['True'], 'index0': ['False']}),
    ],
)
def test_two_conventions_that_differ_ask_for_the_key(rows, readings, tmp_path):
    with pytest.raises(ValueError, match=r'fit two conventions') as error:
        choose(rows, tmp_path)
    assert 'x.jsonl: row 1: answer: ' in str(error.value)
    first, second = readings
    assert f'config.data.answers={first!r} or {second!r}' in str(error.value)
    for convention, right in readings.items():
        assert f'{right[0]!r} (' in str(error.value)
        assert choose(rows, tmp_path, answers=convention) == right


@pytest.mark.parametrize(
    ('rows', 'shown'),
    [
        ([(ABC, 1), (ABC, 0), (ABC, 3)], (2, 3)),
        ([(ABC, 'A'), (ABC, 'B'), (ABC, 1)], (1, 3)),
        ([(ABC, 'y'), (ABC, 'A')], (1, 2)),
        ([(['1', '2', '0'], '1'), (ABC, '3'), (ABC, '0')], (2, 3)),
    ],
)
def test_a_contradiction_shows_two_rows(rows, shown, tmp_path):
    with pytest.raises(ValueError, match='follow no one conv') as error:
        choose(rows, tmp_path)
    for i in range(1, len(rows) + 1):
        assert (f'row {i}: answer' in str(error.value)) == (i in shown)


def test_rows_that_contradict_each_other_by_threes_are_shown(tmp_path):
    rows = [
        (['A', '1'], 'A'),  # a text or a letter
        (['1', '9'], '1'),  # a text or a count
        (['z', '1'], '1'),
        (ABC, '0'),
    ]
    with pytest.raises(ValueError, match='follow no one convention'):
        choose(rows, tmp_path)


def test_labels_of_options_come_first_and_are_not_contradicted(tmp_path):
    def arc(labels, answer):
        return {'text': ABC, 'label': labels}, answer

    counted, letters = ['1', '2', '3'], ['A', 'B', 'C']
    rows = [arc(counted, '1'), arc(letters, 'B')]
    assert choose(rows, tmp_path) == ['x', 'y']
    assert choose([arc(letters, 2), arc(letters, 0)], tmp_path) == ['z', 'x']
    assert choose([arc(counted, '1')], tmp_path, answers='index0') == ['y']
    with pytest.raises(ValueError, match='row 1.*label of the opt.*row 2'):
        choose([arc(counted, '1'), arc(counted, '0')], tmp_path)
    with pytest.raises(ValueError, match=r'options\.label: .*needed 3 labels'):
        choose([arc(['A'], 'A')], tmp_path)


def test_a_given_convention_is_demanded_of_every_row(tmp_path):
    with pytest.raises(ValueError, match='row 2: answer: found text "A".*\'i'):
        choose([(ABC, 1), (ABC, 'A')], tmp_path, answers='index0')
    with pytest.raises(ValueError, match="from 1 to 3 .*answers='index1'"):
        choose([(ABC, 0)], tmp_path, answers='index1')


@pytest.mark.parametrize('gap', ['', ' ', None])
def test_an_empty_answer_blames_its_row(gap, tmp_path):
    rows = [(ABC, 'A'), (ABC, 'B'), (ABC, gap)]
    with pytest.raises(ValueError, match='row 3: answer: found nothing'):
        choose(rows, tmp_path)
    with pytest.raises(ValueError, match='row 3: label: found nothing'):
        name([1, 0, gap], ('bad', 'good'), tmp_path)


def test_options_are_a_list_without_gaps(tmp_path):
    with pytest.raises(ValueError, match='row 1: options: .*FIRST.SECOND'):
        choose([('[x, y]', 0)], tmp_path)
    for gap in ('', None):
        with pytest.raises(ValueError, match=r'options\[1\]: found nothing'):
            choose([(['x', gap], 0)], tmp_path)


def test_options_that_differ_by_spaces_alone_are_two(tmp_path):
    options = [' pear', 'pear ', 'fig']
    assert choose([(options, 'pear ')], tmp_path) == ['pear ']
    with pytest.raises(ValueError, match='row 1: answer: found text "pear"'):
        choose([(options, 'pear')], tmp_path)


STARS = ('1', '2', '3', '4', '5')


@pytest.mark.parametrize('kind', [int, str, float])
def test_labels_count_from_where_the_table_shows(kind, tmp_path):
    words = ('bad', 'fair', 'good')
    zero, one = [kind(i) for i in (0, 1)], [kind(i) for i in (1, 3)]
    assert name(zero, words, tmp_path) == ['bad', 'fair']
    assert name(one, words, tmp_path) == ['bad', 'good']
    with pytest.raises(ValueError, match=r"'index0' or 'index1'"):
        name([kind(1), kind(2)], words, tmp_path)
    given = name([kind(1)], words, tmp_path, answers='index1')
    assert given == ['bad']
    with pytest.raises(ValueError, match='row 1: label.*row 3: label'):
        name([kind(0), kind(1), kind(3)], words, tmp_path)


def test_words_that_are_digits_are_no_trap(tmp_path):
    assert name([1, 2, 5], STARS, tmp_path) == ['1', '2', '5']
    assert name(['1', '2', '5'], STARS, tmp_path) == ['1', '2', '5']
    assert name([0, 1, 4], STARS, tmp_path) == ['1', '2', '5']
    with pytest.raises(ValueError, match="answers='text' or 'index0'"):
        name(['1', '2', '3'], STARS, tmp_path)
    given = name(['1', '2', '3'], STARS, tmp_path, answers='text')
    assert given == ['1', '2', '3']


def test_truth_values_are_0_and_1(tmp_path):
    for labels in ([True, False], ['True', 'False'], ['true', 'false']):
        assert name(labels, ('no', 'yes'), tmp_path) == ['yes', 'no']
    assert name([True], ('1=yes', '0=no'), tmp_path) == ['yes']


def test_letters_are_labels_only_where_they_are_said_to_be(tmp_path):
    words = ('no', 'yes')
    with pytest.raises(ValueError, match='row 1: label: found text "B"'):
        name(['B', 'A'], words, tmp_path)
    given = name(['B', 'A'], words, tmp_path, answers='letter')
    assert given == ['yes', 'no']
