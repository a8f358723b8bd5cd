"""Sources of data: each reads its true schema, and faults name their place."""

from collections import Counter
import dataclasses
import json
import subprocess
import sys

import datasets
import pytest

from configs import fedavg_adam
from fedprompt_jax.data import sni as sni_lib
from fedprompt_jax.data import sources
from fedprompt_jax.data.sources import natural_instructions, tfds
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tokenizing import Template, in_canonical_order
from fedprompt_jax.experiment import config as config_lib
from tests import tiny_sources


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    cache = tmp_path / 'hf cache'
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', cache)


def open_source(config):
    return sources.get(config.data.source).open_source(config.data)


def read(config):
    return list(open_source(config).tasks())


def faults(config):
    return list(sources.get(config.data.source).faults(config))


# What every source promises.


def test_every_source_is_shown_on_a_small_scale():
    assert sorted(tiny_sources.ALL) == sources.names()


@pytest.fixture(scope='module', params=sources.names())
def shown(request, tmp_path_factory):
    """The config of a small data set of each source."""
    folder = tmp_path_factory.mktemp(request.param)
    return tiny_sources.ALL[request.param](folder)


def test_a_source_reads_the_same_tasks_again(shown):
    source = open_source(shown)
    tasks = list(source.tasks())
    assert tasks == list(source.tasks()) and len(tasks) >= 1
    assert source.fingerprint == open_source(shown).fingerprint
    assert len({t.name for t in tasks}) == len(tasks)
    for task in tasks:
        assert task.instances and task.task_type
        for x in task.instances:
            assert x.outputs and all(isinstance(o, str) for o in x.outputs)
            assert not x.choices or x.outputs[0] in x.choices


def test_a_source_fits_a_store(shown, lm, tmp_path):
    c = shown.data
    template = Template(c.template, c.separator, 128, 32, c.target)
    source = open_source(shown)
    store = open_store(source, lm.tokenizer, template, tmp_path)
    tasks = read(shown)
    if source.unordered:
        tasks = in_canonical_order(tasks)
    instances = [x for t in tasks for x in t.instances]
    assert len(store) == len(instances)
    fill, decode = c.target.replace, lm.tokenizer.decode
    for i, x in enumerate(instances):
        record = {
            'id': x.id, 'input': x.input, 'outputs': list(x.outputs),
            'choices': list(x.choices), 'client': x.client, 'pair': x.pair,
            'beginning': x.beginning,
        }  # fmt: skip
        absent = {'choices': [], 'client': '', 'pair': '', 'beginning': False}
        found = absent | store.record(i)
        assert found == record
        assert decode(store.target(i)) == fill('{output}', x.outputs[0])
        assert store.num_choices[i] == len(x.choices)
        shown_choices = [decode(tokens) for tokens in store.choices(i)]
        assert shown_choices == [fill('{output}', c) for c in x.choices]
        sizes = [len(store.target(i)), *map(len, store.choices(i))]
        assert store.scored_lengths[i] == max(sizes)
    clients = [x.client for x in instances]
    if any(clients):
        numbers = store.client_of.tolist()
        pairs = set(zip(clients, numbers, strict=True))
        assert len(pairs) == len(set(clients)) == len(set(numbers))
    else:
        assert len(store.client_of) == 0


def test_a_source_that_is_there_has_no_fault(shown):
    assert not faults(shown)
    config_lib.check(shown, files=False)


def test_a_source_that_is_not_there_is_a_fault(shown, tmp_path):
    lost = shown.copy_and_resolve_references()
    for path in (tmp_path / 'nowhere', tmp_path / 'no thing'):
        lost.data.path = str(path)
        (line,) = faults(lost)
        assert f'config.data.path={str(path)!r}' in line


def test_another_content_has_another_fingerprint(tmp_path):
    for name, make in tiny_sources.ALL.items():
        config = make(tmp_path / name)
        before = open_source(config).fingerprint
        if name == 'tfds':
            files = tmp_path.glob('tfds/tfds/*/*/dataset_info.json')
        elif name == 'natural_instructions':
            files = tmp_path.glob(f'{name}/hub/data/train*')
        elif name == 'sni':
            files = list(tmp_path.glob('sni/sni/tasks/*.json'))[:1]
        else:
            files = (tmp_path / name).glob('*.*')
        (file,) = files
        file.write_bytes(file.read_bytes() + b'\n')
        assert open_source(config).fingerprint != before, name


@pytest.mark.parametrize(
    ('source', 'changes'),
    [
        ('classification', {'labels': ('good', 'bad')}),
        ('classification', {'columns': ('text=idx',)}),
        ('classification', {'answers': 'index0'}),
        ('multiple_choice', {'columns': ('question=context',)}),
        ('multiple_choice', {'answers': 'index1'}),
        ('open_questions', {'columns': ('question=answers',)}),
        ('hellaswag', {'columns': ('ctx_a=ctx',)}),
        ('race', {'columns': ('article=question',)}),
        ('jsonl', {'columns': ('input=task',)}),
        ('natural_instructions', {'columns': ('targets=inputs',)}),
        ('natural_instructions', {'metadata': 'sni'}),
        ('tfds', {'metadata': 'sni'}),
    ],
    ids=str,
)
def test_a_fingerprint_follows_what_makes_the_instances(
    source, changes, tmp_path
):
    """Else a store is opened that was made of other texts or categories."""
    config = tiny_sources.ALL[source](tmp_path)
    before = open_source(config).fingerprint
    if 'metadata' in changes:
        changes = {'metadata': str(tmp_path / changes['metadata'])}
    config.data.update(changes)
    assert open_source(config).fingerprint != before


def test_faults_are_found_before_anything_slow_is_loaded(tmp_path):
    script = (
        'import sys; from configs import fedavg_adam;'
        'from fedprompt_jax.data import sources; c = fedavg_adam.get_config();'
        f'c.data.path = {str(tmp_path / "nowhere")!r};'
        '[list(sources.get(n).faults(c)) for n in sources.names()];'
        'slow = {"jax", "datasets", "pyarrow", "tensorflow_datasets"};'
        'assert not slow & set(sys.modules), slow & set(sys.modules)'
    )
    root = sources.__path__[0].split('/fedprompt_jax/')[0]
    subprocess.run([sys.executable, '-c', script], cwd=root, check=True)


@pytest.mark.parametrize(
    ('source', 'text'),
    [
        ('natural_instructions', "config.data.path='embedded' is no file"),
        ('jsonl', "config.data.splits='random' splits by task type"),
        ('jsonl', "config.data.path='embedded' is no file"),
        ('classification', "config.data.splits='random' splits by task type"),
        ('classification', 'config.data.labels=() must be a word for each'),
        ('multiple_choice', "config.data.splits='random' splits by task type"),
        ('tfds', "config.data.path='embedded' is no data_dir"),
    ],
)
def test_the_default_keys_of_a_source_are_faults(source, text):
    config = fedavg_adam.get_config()
    config.data.source = source
    assert any(text in line for line in faults(config))


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        (
            {'splits': 'random', 'source': 'jsonl'},
            "='clients', 'within' or 'official', not 'random'",
        ),
        ({'source': 'sni'}, "(jsonl), and config.data.source='sni' is none"),
    ],
)
def test_partition_by_client_needs_clients_and_their_split(changes, text):
    config = fedavg_adam.get_config()
    config.data.update({'partition': 'client', 'splits': 'clients'} | changes)
    with pytest.raises(ValueError, match='1 fault') as error:
        config_lib.check(config, files=False)
    assert text in str(error.value)


# The two copies of Super-NaturalInstructions.


def test_the_hub_with_metadata_is_the_folder_of_task_files(tmp_path):
    config = tiny_sources.natural_instructions(tmp_path)
    config.data.metadata = str(tmp_path / 'sni')
    assert read(config) == sni_lib.read_folder(tmp_path / 'sni')
    assert not open_source(config).warnings


@pytest.mark.parametrize('source', ['sni', 'natural_instructions', 'tfds'])
def test_task_files_that_lack_metadata_are_counted(source, tmp_path):
    config = tiny_sources.ALL[source](tmp_path)
    if source != 'sni':
        config.data.metadata = str(tmp_path / 'sni')
    file = tmp_path / 'sni' / 'tasks' / 'task002_of_type_0.json'
    raw = json.loads(file.read_text())
    del raw['Source'], raw['Reasoning']
    file.write_text(json.dumps(raw))
    assert len(read(config)) == 12
    said = open_source(config).warnings[-1]
    assert said.startswith('Of 12 task files, 1 lack Source, 1 lack Reasoning;')


def test_the_hub_without_metadata_has_no_types_and_says_so(tmp_path):
    config = tiny_sources.natural_instructions(tmp_path)
    folder = sni_lib.read_folder(tmp_path / 'sni')
    found = read(config)
    for task, file in zip(found, folder, strict=True):
        assert (task.name, task.task_type) == (file.name, file.name)
        assert task.instances == file.instances  # references and order
        assert task.definition == file.definition
    assert max(len(x.outputs) for x in found[0].instances) == 2
    assert open_source(config).warnings == (natural_instructions.NO_METADATA,)


def test_metadata_change_no_instance_and_no_definition(tmp_path):
    """They are of the table, even where the task files have others."""
    config = tiny_sources.natural_instructions(tmp_path)
    bare = read(config)
    for file in (tmp_path / 'sni' / 'tasks').iterdir():
        raw = json.loads(file.read_text())
        raw['Definition'] = ['Another one.']
        raw['Instances'][0]['input'] = 'another text'
        file.write_text(json.dumps(raw))
    config.data.metadata = str(tmp_path / 'sni')
    for task, plain in zip(read(config), bare, strict=True):
        assert task.instances == plain.instances
        assert task.definition == plain.definition
        assert task.task_type == f'Type {task.name[-1]}' != plain.task_type


def test_the_official_lists_come_from_the_metadata(tmp_path):
    config = tiny_sources.natural_instructions(tmp_path)
    config.data.splits = 'default'
    (line,) = faults(config)
    assert 'give config.data.metadata, the folder that has spl' in line
    config.data.metadata = str(tmp_path / 'sni')
    (line,) = faults(config)
    assert 'splits/default is not a folder' in line
    lists = tmp_path / 'sni' / 'splits' / 'default'
    lists.mkdir(parents=True)
    (lists / 'train_tasks.txt').write_text('task001_of_type_0')
    (lists / 'test_tasks.txt').write_text('task003_of_type_1')
    assert not faults(config)


def test_a_task_without_metadata_is_named(tmp_path):
    config = tiny_sources.natural_instructions(tmp_path)
    config.data.metadata = str(tmp_path / 'sni')
    (tmp_path / 'sni' / 'tasks' / 'task002_of_type_0.json').unlink()
    with pytest.raises(ValueError, match=r'has no task002_of_type_0\.json'):
        read(config)


@pytest.mark.parametrize('ending', ['jsonl', 'csv'])
def test_the_hub_s_table_may_be_of_any_kind(ending, tmp_path):
    config = tiny_sources.natural_instructions(tmp_path)
    rows = tiny_sources.hub_rows(tiny_sources.read_sni(tmp_path / 'sni'))
    table = datasets.Dataset.from_list(rows)
    file = tmp_path / f'all.{ending}'
    (table.to_json if ending == 'jsonl' else table.to_csv)(file)
    expected = read(config)
    config.data.path = str(file)
    assert read(config) == expected


def test_tfds_has_first_references_in_an_order_of_its_own(tmp_path):
    config = tiny_sources.tfds(tmp_path)
    config.data.metadata = str(tmp_path / 'sni')
    assert open_source(config).warnings == (tfds.LOSSES,)

    def by_id(task):
        return dataclasses.replace(
            task, instances=tuple(sorted(task.instances, key=lambda x: x.id))
        )

    def first(task):
        return dataclasses.replace(
            task,
            instances=tuple(
                dataclasses.replace(x, outputs=x.outputs[:1])
                for x in task.instances
            ),
        )

    expected = [by_id(first(t)) for t in sni_lib.read_folder(tmp_path / 'sni')]
    assert [by_id(t) for t in read(config)] == expected
    config.data.metadata = ''
    assert open_source(config).warnings == (
        tfds.LOSSES,
        natural_instructions.NO_METADATA,
    )
    assert {t.task_type for t in read(config)} == {t.name for t in expected}


def test_the_newest_version_of_tfds_is_read(tmp_path):
    """By its numbers: 1.10 comes after 1.9."""
    versions = [tmp_path / tfds.NAME / v for v in ('1.9.0', '1.10.0', '1.2.3')]
    for folder in versions:
        folder.mkdir(parents=True)
        (folder / 'dataset_info.json').write_text('{}')
    assert tfds._prepared(str(tmp_path)) == versions[1]
    assert tfds._prepared(str(versions[0])) == versions[0]


def test_tfds_is_read_without_tensorflow(tmp_path):
    config = tiny_sources.tfds(tmp_path)
    script = (
        'import sys;'
        'from configs import fedavg_adam; c = fedavg_adam.get_config().data;'
        'from fedprompt_jax.data.sources import tfds;'
        f'c.path = {config.data.path!r};'
        'assert len(list(tfds.open_source(c).tasks())) == 12;'
        'assert "tensorflow" not in sys.modules'
    )
    root = sources.__path__[0].split('/fedprompt_jax/')[0]
    subprocess.run([sys.executable, '-c', script], cwd=root, check=True)


def test_tfds_records_without_random_access_are_an_error(tmp_path):
    config = tiny_sources.tfds(tmp_path)
    (info,) = (tmp_path / 'tfds').glob('*/*/dataset_info.json')
    info.write_text(info.read_text().replace('array_record', 'tfrecord'))
    with pytest.raises(ValueError, match="as tfrecord, which.*'array_record'"):
        read(config)


def test_tfds_of_an_old_version_names_what_it_lacks(tmp_path):
    config = tiny_sources.tfds(tmp_path)
    (file,) = (tmp_path / 'tfds').glob('*/*/features.json')
    features = json.loads(file.read_text())
    del features['featuresDict']['features']['task_name']
    file.write_text(json.dumps(features))
    with pytest.raises(ValueError, match="feature 'task_name' is missing; the"):
        read(config)


# Wrong columns name themselves.


@pytest.mark.parametrize(
    ('source', 'rows', 'said'),
    [
        (
            'natural_instructions',
            [{'task': 't', 'id': 'a', 'definition': '', 'inputs': ''}],
            ["'task_name' is missing", 'task, id, definition, inputs'],
        ),
        (
            'classification',
            [{'sentence': 'a', 'label': 1}],
            ["'text' is missing", 'are: sentence, label', "('text="],
        ),
        (
            'multiple_choice',
            [{'question': 'a', 'choices': ['b'], 'answer': 0}],
            ["'options' is missing", 'are: question, choices, answer'],
        ),
        (
            'jsonl',
            [{'client': 'a', 'task': 'b', 'inputs': 'c', 'output': 'd'}],
            ["line 1: column 'input' is missing", 'client, task, inputs'],
        ),
    ],
)
def test_a_missing_column_names_itself(source, rows, said, tmp_path):
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    config = tiny_sources.config(source, path, labels=('no', 'yes'))
    with pytest.raises(ValueError) as error:
        read(config)
    for text in said:
        assert text in str(error.value)


def test_a_renamed_column_that_is_not_there_names_itself(tmp_path):
    config = tiny_sources.classification(tmp_path)
    config.data.columns = ('text=sentence', 'text_pair=sentence2')
    with pytest.raises(ValueError, match="column 'sentence2' is missing"):
        read(config)


@pytest.mark.parametrize('entry', ['sentence', 'txt=sentence', 'text='])
def test_a_renaming_of_no_column_is_a_fault(entry, tmp_path):
    config = tiny_sources.classification(tmp_path)
    config.data.columns = (entry,)
    (line,) = faults(config)
    assert f'config.data.columns has {entry!r}' in line
    assert 'text, label, text_pair' in line


BAD_LINES = [
    (
        '{"client": [], "task": "t", "input": "i", "output": "o"}',
        'client: foun',
    ),
    ('{"client": " ", "task": "t", "input": "i", "output": "o"}', 'client: fo'),
    ('{"client": "c", "task": "t", "input": "i", "output": []}', 'output: fou'),
    ('{"client": "c", "task": "t", "input": "i", "output": [3]}', 'output[0]:'),
    ('{"client": "c", "task": "t", "input": 1, "output": "o"}', 'input: found'),
    ('[1]', 'the line: found list'),
]


@pytest.mark.parametrize(('line', 'said'), BAD_LINES)
def test_a_bad_line_names_file_line_and_column(line, said, tmp_path):
    config = tiny_sources.jsonl(tmp_path)
    path = tmp_path / 'mine.jsonl'
    path.write_text(path.read_text() + '\n' + line)
    with pytest.raises(ValueError) as error:
        read(config)
    assert f'{path}: line 50: {said}' in str(error.value)


def test_what_is_no_json_names_line_and_column(tmp_path):
    config = tiny_sources.jsonl(tmp_path)
    path = tmp_path / 'mine.jsonl'
    path.write_text(path.read_text() + '{"client" 3}')
    with pytest.raises(
        ValueError, match=r'mine\.jsonl: not JSON at line 49, c'
    ):
        read(config)
    path.write_bytes(b'{"client": "caf\xe9"}')
    with pytest.raises(ValueError, match=r'line 1, byte 15 is not UTF-8'):
        read(config)


def test_the_lines_of_a_client_are_its_own(tmp_path):
    config = tiny_sources.jsonl(tmp_path, clients=3, each=4)
    tasks = read(config)
    assert [t.name for t in tasks] == ['task 0', 'task 1', 'task 2']
    mine = [x for t in tasks for x in t.instances if x.client == 'client 1']
    assert len(mine) == 4
    assert {x.outputs for x in mine} == {('the river',), ('name', 'a name')}


# Classification.


def words(config):
    """Text -> the label word that was given to it."""
    return {x.input: x.outputs[0] for t in read(config) for x in t.instances}


def test_a_label_is_a_task_and_a_type(tmp_path):
    tasks = read(tiny_sources.classification(tmp_path))
    assert [t.name for t in tasks] == ['sst2-terrible', 'sst2-great']
    assert [t.task_type for t in tasks] == ['terrible', 'great']
    for task in tasks:
        for x in task.instances:
            assert x.choices == ('terrible', 'great')
            assert ('good' in x.input) == (x.outputs == ('great',))


@pytest.mark.parametrize(
    'labels', [('terrible', 'great'), ('positive=great', 'negative=terrible')]
)
def test_a_class_is_found_by_number_or_by_name(labels, tmp_path):
    config = tiny_sources.classification(tmp_path)
    expected = words(config)
    config.data.labels = labels
    assert words(config) == expected


@pytest.mark.parametrize(
    ('given', 'labels'),
    [
        ([0, 1], ('No', 'Yes')),
        ([False, True], ('No', 'Yes')),
        (['No', 'Yes'], ('Yes', 'No')),
        (['no', 'yes'], ('yes=Yes', 'no=No')),
        ([0, 1], ('1=Yes', '0=No')),
    ],
)
def test_labels_are_numbers_bools_words_or_names(given, labels, tmp_path):
    rows = [{'text': f't{i}', 'label': v} for i, v in enumerate(given)]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    config = tiny_sources.config('classification', path, labels=labels)
    assert words(config) == {'t0': 'No', 't1': 'Yes'}


@pytest.mark.parametrize('label', [3, -1, 'maybe', None, 0.5, ''])
def test_a_label_without_a_word_names_its_row(label, tmp_path):
    rows = [{'text': 'a', 'label': label}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    config = tiny_sources.config('classification', path, labels=('no', 'yes'))
    with pytest.raises(ValueError, match='row 1: label: found') as error:
        read(config)
    assert '0 to 1 or one of no, yes (config.data.labels)' in str(error.value)


def test_a_number_without_a_name_is_refused(tmp_path):
    rows = [{'text': 'a', 'label': 1}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    labels = ('neg=awful', 'pos=good')
    config = tiny_sources.config('classification', path, labels=labels)
    with pytest.raises(ValueError, match='needed one of neg, pos'):
        read(config)


def test_a_word_that_no_row_has_is_said(tmp_path, caplog):
    rows = [{'text': 'a', 'label': 0}, {'text': 'b', 'label': 1}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    labels = ('bad', 'good', 'so so')
    read(tiny_sources.config('classification', path, labels=labels))
    assert "no row has the label of 'so so'" in caplog.text


@pytest.mark.parametrize('source', ['classification', 'jsonl'])
def test_a_column_that_is_no_list_is_of_one(source, tmp_path):
    config = getattr(tiny_sources, source)(tmp_path)
    name = 'label' if source == 'classification' else 'input'
    config.data.columns = (f'{name}=a+b',)
    assert any('is made of one column' in line for line in faults(config))


def test_a_gap_in_an_optional_column_is_empty(tmp_path):
    rows = [
        {'question': 'q', 'options': ['a', 'b'], 'answer': 0, 'context': None}
    ]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    (task,) = read(tiny_sources.config('multiple_choice', path))
    assert task.instances[0].pair == ''


def test_clients_may_be_numbers(tmp_path):
    rows = [{'client': 7, 'task': 't', 'input': 'i', 'output': 'o'}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    (task,) = read(tiny_sources.config('jsonl', path))
    assert task.instances[0].client == '7'


def test_classes_and_words_must_be_as_many(tmp_path):
    config = tiny_sources.classification(tmp_path)
    config.data.labels = ('bad', 'so-so', 'good')
    with pytest.raises(ValueError, match=r'has 2 classes \(negative, positive'):
        read(config)


@pytest.mark.parametrize(
    'labels', [(), ('one',), ('a', 'a'), ('x=a', 'y=a'), ('a', '=b'), ('a', '')]
)
def test_label_words_must_differ(labels, tmp_path):
    config = tiny_sources.classification(tmp_path)
    config.data.labels = labels
    (line,) = faults(config)
    assert 'config.data.labels=' in line


def test_pairs_of_texts_are_read_as_they_are_written(tmp_path):
    tasks = read(tiny_sources.nli(tmp_path))
    assert [t.task_type for t in tasks] == ['Yes', 'No']
    assert tasks[0].instances[0].input == '"Quoted 0'
    assert tasks[0].instances[0].pair == 'NA'  # no gap


def test_the_mask_of_a_template_is_the_tokenizer_s(lm, tmp_path):
    config = tiny_sources.nli(tmp_path)
    template = Template(config.data.template, ' . {mask}', 128, 16)
    source = open_source(config)
    with pytest.raises(ValueError, match=r'has \{mask\}, but the model'):
        open_store(source, lm.tokenizer, template, tmp_path / 'a')
    pad = lm.tokenizer.pad_id
    masked = dataclasses.replace(lm.tokenizer, mask_id=pad)
    store = open_store(source, masked, template, tmp_path / 'b')
    (expected,) = masked.encode([['"Quoted 0 ? ', pad, ' , NA . ', pad]], True)
    first = [store.record(i)['id'] for i in range(len(store))].index('1')
    assert store.query(first).tolist() == expected
    assert expected.count(pad) == 2


# Multiple choice.


@pytest.mark.parametrize(
    ('row', 'columns', 'right', 'options'),
    [
        # An index, a letter, an index in words (HellaSwag), the text.
        ({'options': ['x', 'y'], 'answer': 1}, (), 'y', ('x', 'y')),
        ({'options': ['x', 'y'], 'answer': 'B'}, (), 'y', ('x', 'y')),
        ({'options': ['x', 'y'], 'answer': '1'}, (), 'y', ('x', 'y')),
        ({'options': ['x', 'y'], 'answer': 'y'}, (), 'y', ('x', 'y')),
        # ARC, whose labels are letters or numbers from 1.
        (
            {
                'choices': {'text': ['x', 'y'], 'label': ['1', '2']},
                'answerKey': '1',
            },
            ('options=choices', 'answer=answerKey'),
            'x',
            ('x', 'y'),
        ),
        # PIQA and SciQ, an option a column.
        (
            {'sol1': 'x', 'sol2': 'y', 'label': 1},
            ('options=sol1+sol2', 'answer=label'),
            'y',
            ('x', 'y'),
        ),
        (
            {'distractor1': 'x', 'correct_answer': 'y'},
            ('options=distractor1+correct_answer', 'answer=correct_answer'),
            'y',
            ('x', 'y'),
        ),
    ],
)
def test_answers_are_found(row, columns, right, options, tmp_path):
    row = row | {'question': 'q'}
    (name,) = row.keys() & {'answer', 'answerKey', 'label', 'correct_answer'}
    zero = {1: 0, '1': '0'}.get(row[name])  # which says where counts start
    rows = [row] if zero is None or 'choices' in row else [
        row, row | {name: zero}
    ]  # fmt: skip
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    config = tiny_sources.config('multiple_choice', path, columns=columns)
    (task,) = read(config)
    (x,) = (x for x in task.instances if x.id == '1')
    assert (x.outputs, x.choices) == ((right,), options)


def test_a_context_is_the_second_text(tmp_path):
    (task,) = read(tiny_sources.multiple_choice(tmp_path))
    for x in task.instances:
        i = int(x.id) - 1
        assert x.input == f'what is the name of {i}'
        assert x.pair == f'passage {i}' * (i % 2)


def test_columns_make_a_list_in_the_order_that_is_given(tmp_path):
    rows = [{'question': 'q', 'a': 'x', 'b': 'y', 'c': 'z', 'answer': 0}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    columns = ('options=c+a+b',)
    config = tiny_sources.config('multiple_choice', path, columns=columns)
    (task,) = read(config)
    (x,) = task.instances
    assert (x.choices, x.outputs) == (('z', 'x', 'y'), ('z',))


@pytest.mark.parametrize('answer', [3, -1, 'C', 'z', '', None, ['x']])
def test_an_answer_among_no_options_names_its_row(answer, tmp_path):
    rows = [{'question': 'q', 'options': ['x', 'y'], 'answer': answer}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    config = tiny_sources.config('multiple_choice', path)
    with pytest.raises(ValueError, match='row 1: answer: found .* 0 to 1'):
        read(config)


def test_a_choice_must_have_tokens_and_fit(lm, tmp_path):
    rows = [{'question': 'q', 'options': ['x', 'long' * 20], 'answer': 0}]
    path = tiny_sources.write_lines(tmp_path / 'x.jsonl', rows)
    source = open_source(tiny_sources.config('multiple_choice', path))
    template = Template('{input}', '', 64, 8)
    with pytest.raises(ValueError, match=r'at most config\.data\.max_target=8'):
        open_store(source, lm.tokenizer, template, tmp_path / 'store')


# Files.


def test_a_folder_of_two_kinds_of_tables_is_a_fault(tmp_path):
    config = tiny_sources.classification(tmp_path)
    config.data.path = str(tmp_path)
    assert not faults(config)
    (tmp_path / 'more.csv').write_text('sentence,label\na,1\n')
    (line,) = faults(config)
    assert 'found .csv and .parquet' in line


def test_a_broken_table_is_named(tmp_path):
    config = tiny_sources.multiple_choice(tmp_path)
    path = tmp_path / 'quiz.jsonl'
    path.write_text(path.read_text() + '{"question" 3}\n')
    with pytest.raises(
        ValueError, match=r'quiz\.jsonl: not JSON at line 97, column 13'
    ):
        read(config)


def test_a_name_on_the_hub_that_cannot_be_reached_says_why(monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("Couldn't reach it")

    monkeypatch.setattr(datasets, 'load_dataset_builder', unreachable)
    config = tiny_sources.config('classification', 'nyu-mll/glue:sst2')
    with pytest.raises(ValueError, match=r'no such path here\) could not be'):
        open_source(config)


def test_a_name_on_the_hub_has_a_config_and_a_split(tmp_path, monkeypatch):
    config = tiny_sources.classification(tmp_path)
    asked = []
    table = datasets.load_dataset(
        'parquet', data_files=config.data.path, split='train'
    )

    def load(*args, **kwargs):
        asked.append((*args, kwargs['split']))
        return table

    class Builder:
        hash = 'abc'
        config = type('', (), {'name': 'sst2'})

    monkeypatch.setattr(datasets, 'load_dataset_builder', lambda *a: Builder)
    monkeypatch.setattr(datasets, 'load_dataset', load)
    for path in ('sst2', 'nyu-mll/glue:sst2', 'nyu-mll/glue:sst2:validation'):
        config.data.path = path
        assert not faults(config)
        assert len(words(config)) == 96
    assert asked == [
        ('sst2', None, 'train'),
        ('nyu-mll/glue', 'sst2', 'train'),
        ('nyu-mll/glue', 'sst2', 'validation'),
    ]
    config.data.update({'path': 'nyu-mll/glue:sst2', 'splits': 'official'})
    there = ['train', 'validation_matched', 'test', 'unsupervised']
    monkeypatch.setattr(datasets, 'get_dataset_split_names', lambda *a: there)
    (task, _) = sources.get('classification').open_source(config.data).tasks()
    found = Counter(instance.split for instance in task.instances)
    # Its tokens are not those of the training split alone.
    by_splits = {}
    for splits in ('official', 'clients', 'within'):
        config.data.splits = splits
        opened = sources.get('classification').open_source(config.data)
        by_splits[splits] = opened.fingerprint
    assert by_splits['official'] != by_splits['clients']
    assert by_splits['within'] == by_splits['clients']
    config.data.splits = 'official'
    assert found == {'train': 48, 'validation': 48, 'test': 48}
    assert [split for *_, split in asked[-3:]] == there[:3]
    config.data.path = 'nyu-mll/glue:sst2:validation'
    assert 'names one split' in str(faults(config))
    config = tiny_sources.natural_instructions(tmp_path)
    config.data.path = 'Muennighoff/natural-instructions'
    with pytest.raises(ValueError, match="'task_name' is missing"):
        read(config)
    assert asked[-1] == (config.data.path, None, 'all')


@pytest.mark.parametrize('source', sources.names())
def test_what_a_source_does_not_read_is_a_fault(source, tmp_path):
    config = tiny_sources.ALL[source](tmp_path)
    given = {
        'labels': ('no', 'yes'),
        'columns': ('input=inputs',),
        'answers': 'index1',
        'metadata': str(tmp_path),
    }
    for key in {
        'sni': ('labels', 'answers', 'columns', 'metadata'),
        'tfds': ('labels', 'answers', 'columns'),
        'natural_instructions': ('labels', 'answers'),
        'jsonl': ('labels', 'answers', 'metadata'),
        'classification': ('metadata',),
    }.get(source, ('labels', 'metadata')):
        changed = config.copy_and_resolve_references()
        changed.data[key] = given[key]
        (line,) = faults(changed)
        assert f'{given[key]!r} is not read by source={source!r}' in line
