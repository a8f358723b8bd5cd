"""SNI folders: read as they were written, and faults name their place."""

import copy
import dataclasses
import json

import pytest

from fedprompt_jax.data import sni


def _raw(**changes):
    example = {'input': 'a', 'output': 'b', 'explanation': 'because'}
    raw = {
        'Contributors': ['Ada'],
        'Source': ['tales'],
        'URL': ['https://example.org'],
        'Categories': ['Question Answering', 'Misc.'],
        'Reasoning': [],
        'Definition': ['Answer the question.'],
        'Input_language': ['English'],
        'Output_language': ['English'],
        'Instruction_language': ['English'],
        'Domains': ['History', 'History -> 9/11 Reports'],
        'Positive Examples': [example],
        'Negative Examples': [],
        'Instances': [
            {'id': f'x-{i}', 'input': f'q{i}', 'output': [f'a{i}', 'z']}
            for i in (2, 0, 1)
        ],
        'Instance License': ['CC0'],
    }
    return copy.deepcopy(raw) | changes


def _write(folder, names, subfolder='tasks'):
    place = folder / subfolder
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / f'{name}.json').write_text(json.dumps(_raw()), 'utf-8')
    return folder


def test_everything_in_a_task_is_kept_in_its_order():
    task = sni.parse_task('task1_x', _raw())
    assert task.task_type == 'Question Answering'
    assert task.categories == ('Question Answering', 'Misc.')
    assert task.definition == 'Answer the question.'
    assert task.domains == ('History', 'History -> 9/11 Reports')
    assert task.contributors == ('Ada',) and task.source == ('tales',)
    assert task.url == ('https://example.org',) and task.reasoning == ()
    assert task.input_language == task.output_language == ('English',)
    assert task.instruction_language == ('English',)
    assert task.instance_license == ('CC0',)
    assert dict(task.positive_examples[0]) == {
        'input': 'a',
        'output': 'b',
        'explanation': 'because',
    }
    assert task.negative_examples == ()
    assert [i.id for i in task.instances] == ['x-2', 'x-0', 'x-1']
    assert task.instances[0] == sni.Instance('x-2', 'q2', ('a2', 'z'))


def test_a_string_and_a_list_of_one_read_the_same():
    lists = _raw(Categories=['Misc.'], Domains=['News'])
    lists['Instances'][0]['output'] = ['only']
    strings = _raw(
        Categories='Misc.',
        Domains='News',
        Definition='Answer the question.',
        Source='tales',
        Contributors='Ada',
        **{'Instance License': 'CC0'},
    )
    strings['Instances'][0]['output'] = 'only'
    strings['Positive Examples'][0]['output'] = ['b']
    assert sni.parse_task('t', strings) == sni.parse_task('t', lists)


def test_gaps_in_descriptive_metadata_are_left_out():
    raw = _raw(URL=[float('nan')], Source=[None, 'tales'])
    del raw['Instance License']
    task = sni.parse_task('t', raw)
    assert task.url == () and task.source == ('tales',)
    assert task.instance_license == ()


def _without(key):
    raw = _raw()
    del raw[key]
    return raw


def _instance(**changes):
    raw = _raw()
    raw['Instances'][1] |= changes
    return raw


def _instance_without(key):
    raw = _raw()
    del raw['Instances'][1][key]
    return raw


REQUIRED = ['Categories', 'Definition', 'Instances']
OPTIONAL = sorted({*_raw()} - {*REQUIRED, 'Instance License'})


@pytest.mark.parametrize('key', OPTIONAL)
def test_metadata_that_training_does_not_read_may_be_missing(key, tmp_path):
    _write(tmp_path, ['task1_a', 'task2_b', 'task3_c'])
    assert sni.missing_metadata(tmp_path) == ()
    whole = sni.read_folder(tmp_path)[0]
    field = key.lower().replace(' ', '_')
    for name, raw in (('task2_b', _without(key)), ('task3_c', {key: None})):
        file = tmp_path / 'tasks' / f'{name}.json'
        file.write_text(json.dumps(_raw() | raw if key in raw else raw))
    for task in sni.read_folder(tmp_path)[1:]:
        expected = dataclasses.replace(whole, name=task.name, **{field: ()})
        assert task == expected
    (line,) = sni.missing_metadata(tmp_path)
    assert f'Of 3 task files, 2 lack {key};' in line
    assert ('ROUGE-L' in line) == (key == 'Output_language')


def test_a_key_is_not_found_in_the_text_of_an_instance(tmp_path):
    raw = _without('Source')
    raw['Instances'][0] |= {'input': '{"Source": 1}', 'output': ['Source']}
    _write(tmp_path, [])
    (tmp_path / 'tasks' / 'task1_a.json').write_text(json.dumps(raw))
    (line,) = sni.missing_metadata(tmp_path)
    assert '1 lack Source' in line


def test_hidden_task_files_are_ignored(tmp_path):
    _write(tmp_path, ['task1_a', '._task1_a'])
    _write(tmp_path, ['task2_a'], 'tasks/.ipynb_checkpoints')
    assert [f.stem for f in sni.task_files(tmp_path)] == ['task1_a']
    assert sni.task_files(_write(tmp_path / '.hidden', ['task1_b']))


# object -> what the error must say besides the file
BAD = [(_without(k), [k, 'missing']) for k in REQUIRED] + [
    ([1], ['list', 'JSON object']),
    (_raw(Categories=[]), ['Categories', 'at least one']),
    (_raw(Categories=[None]), ['Categories[0]', 'NoneType', 'string']),
    (_raw(Categories=[' ']), ['Categories[0]', 'blank']),
    (_raw(Categories=5), ['Categories', 'int 5', 'string']),
    (_raw(Definition=[]), ['Definition', 'at least one']),
    (_raw(Domains={'a': 1}), ['Domains', 'dict', 'list of strings']),
    (_raw(Source=['a', 7]), ['Source[1]', 'int 7', 'string']),
    (_raw(Instances=[]), ['Instances', 'at least one']),
    (_raw(Instances={}), ['Instances', 'dict', 'list of objects']),
    (_raw(Instances=['x']), ['Instances[0]', 'str', 'object']),
    (_instance(output=3), ['Instances[1].output', 'int 3', 'string']),
    (_instance(output=[]), ['Instances[1].output', 'at least one']),
    (_instance(output=['a', 3]), ['Instances[1].output[1]', 'int 3']),
    (_instance(output=None), ['Instances[1].output', 'NoneType']),
    (_instance(output=['a', '\ud83d']), ['Instances[1].output[1]', 'UTF-8']),
    (_instance(input='\ud83d'), ['Instances[1].input', 'UTF-8']),
    (_instance(input=['a']), ['Instances[1].input', 'list', 'string']),
    (_instance(id=12), ['Instances[1].id', 'int 12', 'string']),
    (_instance_without('output'), ['Instances[1].output', 'missing']),
    (_instance_without('input'), ['Instances[1].input', 'missing']),
    (_instance_without('id'), ['Instances[1].id', 'missing']),
    (
        _raw(**{'Positive Examples': [{'input': 'a', 'explanation': 'c'}]}),
        ['Positive Examples[0].output', 'missing'],
    ),
    (
        _raw(**{'Negative Examples': 'none'}),
        ['Negative Examples', 'str "none"', 'list of objects'],
    ),
]


@pytest.mark.parametrize(('raw', 'said'), BAD, ids=lambda v: str(v)[:40])
def test_a_malformed_task_names_the_file_and_the_field(tmp_path, raw, said):
    file = _write(tmp_path, ['task1_good']) / 'tasks' / 'task7_bad.json'
    file.write_text(json.dumps(raw))
    with pytest.raises(ValueError) as e:
        sni.read_folder(tmp_path)
    for part in [str(file), *said]:
        assert part in str(e.value)


def test_what_is_not_json_names_line_and_column(tmp_path):
    file = _write(tmp_path, []) / 'tasks' / 'task1_x.json'
    file.write_text('{"Source": [],\n  "URL" 3}')
    with pytest.raises(ValueError, match=r'task1_x\.json.*line 2, column 9'):
        sni.read_folder(tmp_path)


def test_a_bottomless_file_is_named(tmp_path):
    path = tmp_path / 'tasks' / 'task1_x.json'
    path.parent.mkdir()
    path.write_text('[' * 100_000)
    with pytest.raises(ValueError, match=r'task1_x\.json: nested'):
        list(sni.iter_folder(tmp_path))


def test_what_is_not_utf8_names_the_byte(tmp_path):
    file = _write(tmp_path, []) / 'tasks' / 'task1_x.json'
    file.write_bytes(b'{"Source": "caf\xe9"}')
    with pytest.raises(ValueError, match=r'task1_x\.json.*byte 15.*UTF-8'):
        sni.read_folder(tmp_path)


def test_tasks_come_by_number_then_name(tmp_path):
    names = ['task10_a', 'task9_b', 'task2_z', 'task2_a', 'task1000_a']
    _write(tmp_path, names)
    expected = ['task2_a', 'task2_z', 'task9_b', 'task10_a', 'task1000_a']
    assert [t.name for t in sni.read_folder(tmp_path)] == expected
    inner = sni.read_folder(tmp_path / 'tasks')
    assert [t.name for t in inner] == expected


def test_a_folder_without_tasks_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match='absent is not a folder'):
        sni.read_folder(tmp_path / 'absent')
    with pytest.raises(ValueError, match=r'looked for .*tasks/task\*\.json'):
        sni.read_folder(tmp_path)


def _lists(tmp_path, **lists):
    folder = tmp_path / 'splits' / 'default'
    folder.mkdir(parents=True)
    for key, text in lists.items():
        (folder / f'{key}_tasks.txt').write_text(text)
    return tmp_path


def test_split_lists_are_read_without_blank_lines(tmp_path):
    _lists(tmp_path, train='task1_a\n\n task2_b \r\n', test='task3_c')
    assert sni.read_splits(tmp_path, 'default') == {
        'train': ('task1_a', 'task2_b'),
        'test': ('task3_c',),
        'excluded': (),
    }


def test_a_byte_order_mark_is_no_text(tmp_path):
    """Some editors begin a file of UTF-8 with one."""
    mark = '\ufeff'
    _lists(tmp_path, train=f'{mark}task1_a', test=f'{mark}task3_c')
    found = sni.read_splits(tmp_path, 'default')
    assert found['train'] == ('task1_a',) and found['test'] == ('task3_c',)
    (file,) = (_write(tmp_path, ['task1_a']) / 'tasks').iterdir()
    plain = sni.read_folder(tmp_path)
    file.write_text(mark + file.read_text('utf-8'), 'utf-8')
    assert sni.read_folder(tmp_path) == plain


def test_a_task_in_two_lists_is_an_error(tmp_path):
    _lists(tmp_path, train='a\nb', test='c', excluded='b')
    with pytest.raises(ValueError, match=r'b is in train_tasks\.txt and in ex'):
        sni.read_splits(tmp_path, 'default')


def test_train_and_test_lists_are_needed(tmp_path):
    _lists(tmp_path, train='a')
    with pytest.raises(ValueError, match=r'test_tasks\.txt is missing'):
        sni.read_splits(tmp_path, 'default')
    with pytest.raises(ValueError, match=r"there: \['default'\]"):
        sni.read_splits(tmp_path, 'xlingual')


def test_a_fingerprint_sees_names_and_contents_and_nothing_else(tmp_path):
    a = _write(tmp_path / 'a', ['task1_x', 'task2_y'])
    b = _write(tmp_path / 'b', ['task1_x', 'task2_y'])
    (b / 'README.md').write_text('no task')
    before = sni.content_fingerprint(a)
    assert before == sni.content_fingerprint(b)
    file = b / 'tasks' / 'task2_y.json'
    file.write_text(file.read_text() + ' ')
    assert before != sni.content_fingerprint(b)
    (a / 'tasks' / 'task2_y.json').rename(a / 'tasks' / 'task2_z.json')
    assert before != sni.content_fingerprint(a)


def test_a_generated_corpus_has_a_fingerprint_of_its_content():
    one = {'t1': _raw(), 't2': _raw()}
    turned = {'t2': dict(reversed(_raw().items())), 't1': _raw()}
    changed = {'t1': _raw(), 't2': _raw(Source='other')}
    fingerprint = sni.fingerprint_of_raw
    assert fingerprint(one) == fingerprint(turned)
    assert fingerprint(one) != fingerprint(changed)
    assert fingerprint(one) != fingerprint({'t1': one['t1'], 't3': one['t2']})
