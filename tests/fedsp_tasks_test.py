"""FedSP's eight sets: rows of the hub become lm-eval's texts."""

import json

import pytest

from configs import fedavg_adam
from configs.fedsp import tasks
from fedprompt_jax.data import sources
from fedprompt_jax.data.encoding import Encoder, Template
from fedprompt_jax.experiment import config as config_lib
from tests import tiny_sources

ARC = {'text': ['red', 'blue', 'green'], 'label': ['A', 'B', 'C']}
RACE = {
    'example_id': 'high1.txt',
    'article': 'Once there was.',
    'question': 'What was  _  .',
    'options': ['one', 'two', 'three', 'four'],
    'answer': 'C',
}
# Task -> a row as the hub has it, lm-eval's query, choices, place of the right.
SHOWN = {
    'sciq': (
        {
            'question': 'What is it?',
            'distractor1': 'x',
            'distractor2': 'y',
            'distractor3': 'z',
            'correct_answer': 'w',
            'support': 'It is w.',
        },
        'It is w.\nQuestion: What is it?\nAnswer:',
        ['x', 'y', 'z', 'w'],
        3,
    ),
    'arc_easy': (
        {'id': '1', 'question': 'Sky?', 'choices': ARC, 'answerKey': 'B'},
        'Question: Sky?\nAnswer:',
        ['red', 'blue', 'green'],
        1,
    ),
    'arc_challenge': (
        {
            'id': '1',
            'question': 'Sky?',
            'choices': ARC | {'label': ['1', '2', '3']},
            'answerKey': '2',
        },
        'Question: Sky?\nAnswer:',
        ['red', 'blue', 'green'],
        1,
    ),
    'openbookqa': (
        {'id': '1', 'question_stem': 'The sky is', 'choices': ARC}
        | {'answerKey': 'B'},
        'The sky is',
        ['red', 'blue', 'green'],
        1,
    ),
    'piqa': (
        {'goal': 'To open', 'sol1': 'push', 'sol2': 'pull', 'label': 1},
        'Question: To open\nAnswer:',
        ['push', 'pull'],
        1,
    ),
    'race_high': (
        RACE,
        'Article: Once there was.\n\nQuestion: What was  _  .\n\nAnswer:',
        RACE['options'],
        2,
    ),
    'race_high_lm_eval': (
        RACE,
        'Article: Once there was.\n\nWhat was  _  .',
        RACE['options'],
        2,
    ),
    'hellaswag': (
        {
            'activity_label': 'Sitting',
            'ctx_a': 'A man sits.',
            'ctx_b': 'he',
            'ctx': 'A man sits. he',
            'endings': ['falls.', 'stands.', 'eats.', 'sings.'],
            'label': '2',
            'split_type': 'indomain',
        },
        'Sitting: A man sits. He',
        ['falls.', 'stands.', 'eats.', 'sings.'],
        2,
    ),
    'web_questions': (
        {'url': '', 'question': 'where?', 'answers': ['Rome', 'Roma']},
        'Question: where?\nAnswer:',
        [],
        0,
    ),
}


def test_every_task_is_shown():
    assert set(SHOWN) == set(tasks.TASKS)


def config(task, path, literal=False):
    c = fedavg_adam.get_config()
    tasks.apply(c, task, literal)
    c.data.path = str(path)
    return c


@pytest.fixture(params=SHOWN)
def task(request, tmp_path):
    """Name, folder, query, choices, place of the right one."""
    row, *expected = SHOWN[request.param]
    # Two rows of an article would be one question for lm-eval's RACE.
    count = 1 if request.param == 'race_high_lm_eval' else 2
    for split in ('train', 'validation', 'test'):
        tiny_sources.write_lines(tmp_path / f'{split}.jsonl', [row] * count)
    return request.param, tmp_path, *expected


def texts(c, tokenizer):
    """Query and answers of the first instance, as they are tokenized."""
    d = c.data
    (read,) = sources.get(d.source).open_source(d).tasks()
    x = read.instances[0]
    template = Template(
        d.template, d.separator, d.max_query, d.max_target, d.target
    )
    query = Encoder(tokenizer, template, 'causal_lm').text('', x.input, x.pair)
    answers = [d.target.replace('{output}', o) for o in x.outputs]
    choices = [d.target.replace('{output}', o) for o in x.choices]
    return ''.join(query.read), answers, choices


def test_a_row_of_the_hub_is_asked_as_lm_eval_asks_it(task, lm):
    name, folder, query, choices, right = task
    c = config(name, folder)
    config_lib.check(c, files=False)
    assert list(sources.get(c.data.source).faults(c)) == []
    found, answers, options = texts(c, lm.tokenizer)
    assert found == query
    assert options == [f' {choice}' for choice in choices]
    expected = [f' {choices[right]}'] if choices else [' Rome', ' Roma']
    assert answers == expected


def test_the_literal_form_has_a_space_for_webquestions_alone(task, lm):
    name, folder, query, *_ = task
    found, answers, _ = texts(config(name, folder, True), lm.tokenizer)
    assert found == query
    assert answers[0].startswith(' ') == (name == 'web_questions')
    other = texts(config(name, folder), lm.tokenizer)[1]
    assert [a.strip() for a in answers] == [a.strip() for a in other]


@pytest.mark.parametrize('name', tasks.TASKS)
def test_a_task_sets_keys_that_there_are(name):
    before = fedavg_adam.get_config()
    c = config(name, 'nowhere')
    assert set(c.data) == set(before.data)
    assert set(c.evaluation) == set(before.evaluation)
    assert c.data.partition == 'iid' and c.data.splits == 'official'
    assert c.data.num_clients == 10
    # Eleven shards, of which one is the server's.
    assert tasks.SERVER_SHARE == 1 / 11
    assert c.data.client_size == tasks.TASKS[name].size // 11
    # FedSP's models have 1,024 positions and more; a prefix takes none.
    assert c.data.max_query + c.data.max_target <= 1024


def test_a_later_task_leaves_nothing_of_an_earlier_one():
    names = list(tasks.TASKS)
    for first, second in zip(names, names[1:] + names[:1], strict=True):
        c = config(first, 'data', True)
        tasks.apply(c, second)
        expected = config(second, second)
        assert json.loads(c.to_json()) == json.loads(expected.to_json())


def test_an_unknown_task_names_those_that_there_are():
    with pytest.raises(ValueError, match=r"no task 'boolq'; use sciq, arc_e"):
        tasks.apply(fedavg_adam.get_config(), 'boolq')
