"""Open questions, HellaSwag and RACE: what becomes of their rows."""

import pytest

from fedprompt_jax.data import sources
from fedprompt_jax.data.sources.hellaswag import cleaned
from tests import tiny_sources


def read(source, rows, tmp_path, **data):
    path = tiny_sources.write_lines(tmp_path / 'rows.jsonl', rows)
    config = tiny_sources.config(source, path, splits='clients', **data)
    module = sources.get(source)
    assert list(module.faults(config)) == []
    (task,) = module.open_source(config.data).tasks()
    return task.instances


def open_questions(answers, tmp_path):
    rows = [{'question': 'where?', 'answers': a} for a in answers]
    return read('open_questions', rows, tmp_path)


def test_all_answers_are_references_and_none_is_a_choice(tmp_path):
    made = open_questions([['Paris', 'Rome'], 'Oslo', [1947]], tmp_path)
    outputs = [('Paris', 'Rome'), ('Oslo',), ('1947',)]
    assert [x.outputs for x in made] == outputs
    assert all(x.beginning and not x.choices for x in made)
    assert [x.id for x in made] == ['1', '2', '3']
    assert made[0].input == 'where?'


@pytest.mark.parametrize(
    ('answers', 'said'),
    [
        ([], r'row 1: answers: found a list \[\], needed at least one answer'),
        (['Paris', ' '], r'row 1: answers\[1\]: found nothing, needed text'),
        ('', r'row 1: answers\[0\]: found nothing, needed text'),
        ([['Paris']], r'row 1: answers\[0\]: found a list .*, needed text'),
    ],
)
def test_a_question_needs_answers(answers, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        open_questions([answers], tmp_path)


def test_the_columns_of_open_questions_may_have_other_names(tmp_path):
    rows = [{'q': 'where?', 'a': ['here'], 'question': 'no'}]
    columns = ('question=q', 'answers=a')
    (made,) = read('open_questions', rows, tmp_path, columns=columns)
    assert (made.input, made.outputs) == ('where?', ('here',))


FULL = {
    'activity_label': 'Sitting down',
    'ctx_a': '[header] How to sit [title] Find a chair.',
    'ctx_b': 'then Nearly  all',
    'ctx': '[header] How to sit [title] Find a chair. then Nearly  all',
    'endings': ['[step] sit down.', 'stand  up. '],
    'label': '1',
}


def hellaswag(tmp_path, rows=(FULL,), **data):
    return read('hellaswag', list(rows), tmp_path, **data)


def test_hellaswag_is_as_lm_eval_has_it(tmp_path):
    """Written down from process_docs of lm-eval 0.4.13, spaces included."""
    (made,) = hellaswag(tmp_path)
    expected = 'Sitting down: How to sit. Find a chair. Then nearly all'
    assert made.input == expected
    assert made.choices == (' sit down.', 'stand up.')
    assert made.outputs == ('stand up.',)


def test_without_an_activity_the_context_stands_alone(tmp_path):
    rows = [
        FULL | {'activity_label': ''},
        {k: FULL[k] for k in ('ctx', 'endings', 'label')},
    ]
    first, second = (x.input for x in hellaswag(tmp_path, rows))
    assert first == ' How to sit. Find a chair. Then nearly all'
    # Where the second sentence begins, nobody knows.
    assert second == ' How to sit. Find a chair. then Nearly all'


def test_marks_are_taken_out_and_nothing_else():
    assert cleaned(' a [title] b [step] c  d [x] [y]e ') == 'a. b c d e'
    assert cleaned('a [ b') == 'a [ b'


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'label': '2'}, 'label: found text .2., needed a number from 0 to 1'),
        ({'label': ''}, 'label: found nothing, needed a number from 0 to 1'),
        ({'endings': []}, r'endings: found a list \[\], needed a list of end'),
        ({'endings': ['[x]', 'a']}, r'endings\[0\]: found .*, needed text'),
    ],
)
def test_a_row_of_hellaswag_at_fault_is_named(changes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        hellaswag(tmp_path, [FULL | changes])


def test_a_column_that_is_named_must_be_there(tmp_path):
    with pytest.raises(ValueError, match="column 'activity' is missing"):
        hellaswag(tmp_path, columns=('activity_label=activity',))


@pytest.mark.parametrize('source', ['hellaswag', 'multiple_choice'])
@pytest.mark.parametrize('hidden', ['', -1, None])
def test_a_test_split_without_answers_is_left_out(source, hidden, tmp_path):
    """As the hub has HellaSwag's and PIQA's."""
    row, answer = FULL, 'label'
    if source == 'multiple_choice':
        row = {'question': 'a?', 'options': ['b', 'c'], 'answer': 0}
        answer = 'answer'
    folder = tmp_path / 'data'
    folder.mkdir()
    for split in ('train', 'validation'):
        tiny_sources.write_lines(folder / f'{split}.jsonl', [row] * 2)
    test = folder / 'test.jsonl'
    tiny_sources.write_lines(test, [row | {answer: hidden}] * 2)
    config = tiny_sources.config(source, folder, splits='official')
    module = sources.get(source)

    def read():
        (task,) = module.open_source(config.data).tasks()
        return [x.split for x in task.instances]

    assert sorted(read()) == ['train'] * 2 + ['validation'] * 2
    # A split of which one row has none is at fault.
    tiny_sources.write_lines(test, [row, row | {answer: hidden}])
    with pytest.raises(ValueError, match='row 2: .*needed'):
        read()


def race(tmp_path, *rows, **data):
    keys = ('example_id', 'article', 'question', 'options', 'answer')
    rows = [dict(zip(keys, row, strict=True)) for row in rows]
    return read('race', rows, tmp_path, answers='letter', **data)


def test_of_an_article_the_last_question_is_asked(tmp_path):
    """Written down from doc_to_text of lm-eval 0.4.13; rows of two articles."""
    first, second = race(
        tmp_path,
        ('1', 'Ann came.', 'Who came?', ['Bob', 'Ann'], 'B'),
        ('2', 'Bob left.', 'Why?', ['So.', 'No.'], 'A'),
        ('1', 'Ann came.', 'She was  _  .', ['old', 'ill'], 'A'),
        ('1', 'Ann came.', 'He _ .', ['left', 'came'], 'B'),
        ('1', 'Ann came.', 'Then  _  .', ['b', 'c', 'd'], 'C'),
    )
    assert first.pair == 'Ann came.'
    assert first.input == (
        'Question: Who came?\nAnswer: Ann\n'
        'She was old\n'
        'Question: He _ .\nAnswer: came\n'
        'Then  _  .'
    )
    assert (first.choices, first.outputs) == (('b', 'c', 'd'), ('d',))
    assert (second.pair, second.input) == ('Bob left.', 'Why?')
    assert second.outputs == ('So.',)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'article': 'Bob.'}, "row 2: article: another one .*example_id='1'"),
        ({'answer': 'C'}, 'row 2: answer: found .*needed a letter, the last'),
        ({'options': []}, r'row 2: options: found a list \[\], needed a list'),
        ({'options': ['', 'a']}, r'row 2: options\[0\]: found nothing'),
    ],
)
def test_a_row_of_race_at_fault_is_named(changes, said, tmp_path):
    row = {
        'example_id': '1',
        'article': 'Ann.',
        'question': 'Who?',
        'options': ['Bob', 'Ann'],
        'answer': 'B',
    }
    with pytest.raises(ValueError, match=said):
        race(tmp_path, row.values(), (row | changes).values())
