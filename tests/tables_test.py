"""Tables: a cell is what is written, the content is what is read."""

import datetime
import decimal
import json
import os
import shutil

import datasets
import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest

from fedprompt_jax import files
from fedprompt_jax.data import sources
from fedprompt_jax.data.tables import arrow
from fedprompt_jax.data.tables.cells import Class
from tests import tiny_sources
from tests.damage import PAGE, POINTER

APPLE = b'\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        '


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    cache = tmp_path / 'hf cache'
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', cache)


def open_source(config):
    return sources.get(config.data.source).open_source(config.data)


def instances(config):
    return [x for t in open_source(config).tasks() for x in t.instances]


def classified(path, **data):
    data = {'labels': ('bad', 'good'), 'splits': 'clients'} | data
    return tiny_sources.config('classification', path, **data)


def texts(path, **data):
    """Texts of a classification table in the order of its rows."""
    found = instances(classified(path, **data))
    return [x.input for x in sorted(found, key=lambda x: int(x.id))]


# What identifies data is its content.


def as_csv(path, rows):
    lines = [
        '\t'.join(row) if path.suffix == '.tsv' else ','.join(row)
        for row in [rows[0].keys(), *(r.values() for r in rows)]
    ]
    path.write_text('\n'.join(lines) + '\n')  # fmt: skip


def as_parquet(path, rows):
    parquet.write_table(pa.Table.from_pylist(rows), path)


WRITERS = {
    'csv': as_csv,
    'tsv': as_csv,
    'jsonl': tiny_sources.write_lines,
    'json': lambda path, rows: path.write_text(json.dumps(rows)),
    'parquet': as_parquet,
}


def replace(path, write):
    """Writes a file anew that keeps its size and its times."""
    size, times = None, (10**18, 10**18)
    if path.exists():
        size = path.stat().st_size
    write()
    os.utime(path, ns=times)
    assert size is None or path.stat().st_size == size


@pytest.mark.parametrize('kind', WRITERS)
@pytest.mark.parametrize('source', ['classification', 'natural_instructions'])
def test_a_file_replaced_by_another_is_read_anew(kind, source, tmp_path):
    path = tmp_path / f'data.{kind}'
    found = []
    for version in ('old', 'new'):
        rows = [
            {
                'text': f'{version} {i}', 'label': str(i), 'task_name': 'task1',
                'id': f'i{i}', 'definition': '', 'inputs': f'{version} {i}',
                'targets': 'x',
            }
            for i in (0, 1)
        ]  # fmt: skip
        replace(path, lambda rows=rows: WRITERS[kind](path, rows))
        config = classified(path)
        config.data.source = source
        if source == 'natural_instructions':
            config.data.update({'labels': (), 'splits': 'random'})
        found.append(open_source(config).fingerprint)
        assert [x.input for x in instances(config)] == [
            f'{version} 0', f'{version} 1'
        ]  # fmt: skip
    assert found[0] != found[1]


def test_a_shard_of_tfds_replaced_by_another_is_other_data(tmp_path):
    config = tiny_sources.tfds(tmp_path)
    before = open_source(config).fingerprint
    (shard,) = (tmp_path / 'tfds').glob('*/*/*array_record*')
    (shard.parent / '.hidden').write_text('nothing')
    assert open_source(config).fingerprint == before
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    replace(shard, lambda: shard.write_bytes(raw))
    assert open_source(config).fingerprint != before


@pytest.mark.parametrize('source', sources.names())
def test_a_file_that_changes_while_it_is_read_is_an_error(source, tmp_path):
    config = tiny_sources.ALL[source](tmp_path)
    pattern = {
        'sni': 'sni/tasks/*.json', 'tfds': 'tfds/*/*/features.json',
        'natural_instructions': 'hub/data/train*',
    }.get(source, '*.*')  # fmt: skip
    file = sorted(tmp_path.glob(pattern))[0]
    opened = open_source(config)
    raw = file.read_bytes()
    file.write_bytes(raw + b'\n' if file.suffix != '.parquet' else raw)
    if file.suffix == '.parquet':
        table = parquet.read_table(file)
        parquet.write_table(table.slice(0, len(table) - 1), file)
    with pytest.raises(ValueError, match='changed while they were being read'):
        list(opened.tasks())


# Hidden files are nobody's data.


def test_visible_files_are_those_without_a_dot_below_the_folder(tmp_path):
    folder = tmp_path / '.cache' / 'mine'  # which may be hidden itself
    for name in (
        'b.csv',
        'a/c.csv',
        'a/.d.csv',
        '.e/f.csv',
        '._b.csv',
        '__MACOSX/b.csv',
        'a/.ipynb_checkpoints/c-checkpoint.csv',
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('')  # fmt: skip
    (folder / 'folder.csv').mkdir()
    found = files.visible(folder, '**/*.csv')
    assert found == [folder / 'a/c.csv', folder / 'b.csv']
    assert files.visible(folder, '*.csv') == [folder / 'b.csv']


@pytest.mark.parametrize('source', sources.names())
def test_hidden_files_change_nothing(source, tmp_path):
    config = tiny_sources.ALL[source](tmp_path / 'given')
    path = tmp_path / 'given'
    if source in ('sni', 'tfds', 'natural_instructions'):
        path = path / {'natural_instructions': 'hub'}.get(source, source)
    config.data.path = str(path)
    before = list(open_source(config).tasks()), open_source(config).fingerprint
    data = [f for f in path.rglob('*') if f.is_file()]
    for file in data:
        shutil.copy(file, file.with_name(f'.{file.name}'))
        file.with_name(f'._{file.name}').write_bytes(APPLE)
        for name in ('.ipynb_checkpoints', '.cache', '__MACOSX'):
            (file.parent / name).mkdir(exist_ok=True)
            shutil.copy(file, file.parent / name)
    assert not list(sources.get(source).faults(config))
    again = list(open_source(config).tasks()), open_source(config).fingerprint
    assert again == before


def test_a_hidden_file_that_is_given_is_read(tmp_path):
    path = tmp_path / '.hidden' / '.mine.csv'
    path.parent.mkdir()
    path.write_text('text,label\nfine,1\nbad,0\n')
    assert texts(path) == ['fine', 'bad']


# A cell is text as it is written.

ODD = [
    '007', '1.50', '1e3', 'True', 'NA', 'null', 'nan', '2020-01-01',
    '2020-01-01 00:00:00', '-', '', ' x ', '٣', 'a\u2028b', '\ufeffx',
]  # fmt: skip


def test_a_cell_of_a_csv_is_what_is_written(tmp_path):
    path = tmp_path / 'x.csv'
    lines = ''.join(f'{text},{i % 2}\r\n' for i, text in enumerate(ODD))
    quoted = '"two\r\nlines, ""quoted""",0\r\n\r\n'
    huge = 'x' * 200_000 + ',1\r\n'
    path.write_bytes(f'\ufefftext,label\r\n{lines}{quoted}{huge}'.encode())
    expected = [*ODD, 'two\r\nlines, "quoted"', 'x' * 200_000]
    assert texts(path) == expected


@pytest.mark.parametrize('kind', ['csv', 'tsv'])
@pytest.mark.parametrize(
    'cells', [['007', '02116'], ['0.50', '1.0'], ['True', 'False'], ['NA', '']]
)
def test_a_column_that_looks_like_a_type_is_text(cells, kind, tmp_path):
    path = tmp_path / f'x.{kind}'
    as_csv(path, [{'text': c, 'label': str(i)} for i, c in enumerate(cells)])
    assert texts(path) == cells


def test_a_cell_of_json_is_what_is_written(tmp_path):
    numbers = ['7', '0.50', '1e3', '-0', '123456789012345678901234567890']
    cells = [*map(json.dumps, ODD), *numbers, 'true', 'false']
    lines = [
        f'{{"text": {cell}, "label": {i % 2}}}' for i, cell in enumerate(cells)
    ]
    expected = [*ODD, *numbers, 'true', 'false']
    for name, text in {
        'lines.jsonl': '\ufeff' + '\r\n\r\n'.join(lines),
        'lines.json': '\n'.join(lines),
        'list.json': f'[{",".join(lines)}]',
        'pretty.json': '[\n' + ',\n'.join(lines) + '\n]',
    }.items():
        (tmp_path / name).write_text(text, 'utf-8', newline='')
        assert texts(tmp_path / name) == expected, name


@pytest.mark.parametrize('cells', [[*'ab'], {'0': 'a', '1': 'b'}])
def test_json_may_be_a_list_a_column(cells, tmp_path):
    label = [0, 1] if isinstance(cells, list) else {'0': 0, '1': 1}
    path = tmp_path / 'x.json'
    path.write_text(json.dumps({'text': cells, 'label': label}, indent=1))
    assert texts(path) == ['a', 'b']


@pytest.mark.parametrize(
    ('values', 'written'),
    [
        (pa.array([7, -1], pa.int16()), ['7', '-1']),
        (pa.array([0.1, 2], pa.float32()), ['0.1', '2.0']),
        (pa.array([0.1, 1e22]), ['0.1', '1e+22']),
        (pa.array([True, False]), ['true', 'false']),
        (pa.array([decimal.Decimal('1.50')] * 2), ['1.50'] * 2),
        (pa.array([datetime.date(2020, 1, 2)] * 2), ['2020-01-02'] * 2),
        (pa.array([datetime.datetime(2020, 1, 2, 3)] * 2),
         ['2020-01-02T03:00:00'] * 2),
        (pa.array([7, 8]).dictionary_encode(), ['7', '8']),
        (pa.array(['2020-01-01', '0.50']), ['2020-01-01', '0.50']),
    ],
)  # fmt: skip
def test_a_typed_cell_of_a_parquet_has_a_text(values, written, tmp_path):
    path = tmp_path / 'x.parquet'
    labels = pa.array(np.arange(2, dtype=np.int8))
    parquet.write_table(pa.table({'text': values, 'label': labels}), path)
    assert texts(path) == written


@pytest.mark.parametrize('gap', [None, float('nan')])
def test_a_gap_of_a_parquet_is_nothing(gap, tmp_path):
    """NaN is how pandas writes one."""
    path = tmp_path / 'x.parquet'
    values = pa.array([1.5, gap], pa.float64(), from_pandas=False)
    labels = pa.array(np.arange(2, dtype=np.int8))
    parquet.write_table(pa.table({'text': values, 'label': labels}), path)
    with pytest.raises(ValueError, match='row 2: text: found nothing'):
        texts(path)


def test_a_long_parquet_is_read_to_its_end(tmp_path):
    path = tmp_path / 'x.parquet'
    numbers = range(2 * arrow._BATCH + 1)
    parquet.write_table(pa.table({'n': [*numbers]}), path)
    rows = arrow.parquet_rows(path, ['n'], {})
    assert [row['n'] for row in rows] == [f'{n}' for n in numbers]


def hub_classes(path, names, labels):
    """A .parquet file as the hub has it, with names of its classes."""
    features = datasets.Features(
        text=datasets.Value('string'), label=datasets.ClassLabel(names=names)
    )
    rows = {'text': [f't{i}' for i in labels], 'label': labels}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
    return path


def test_classes_of_the_hub_are_counted_from_0_and_have_names(tmp_path):
    path = hub_classes(tmp_path / 'x.parquet', ['neg', 'pos', 'so'], [1, 2, 1])
    words = ('bad', 'good', 'fair')
    found = [x.outputs[0] for x in instances(classified(path, labels=words))]
    assert found == ['good', 'good', 'fair']  # 1 and 2 are ambiguous elsewhere
    assert texts(path, columns=('text=label',), labels=words) == [
        'pos', 'so', 'pos'
    ]  # fmt: skip
    with pytest.raises(ValueError, match="'text' or 'index0'"):
        texts(path, labels=('so', 'neg', 'pos'))  # is class 1 'neg' or 'pos'?


def test_a_row_without_a_class_is_an_error(tmp_path):
    path = hub_classes(tmp_path / 'x.parquet', ['neg', 'pos'], [1, -1])
    with pytest.raises(ValueError, match='row 2: label: found class -1'):
        texts(path)


def test_a_row_without_a_class_has_no_name():
    """Not that of the last class, as Python counts from the end."""
    found = [Class.of(('neg', 'pos'), i) for i in (-1, 0, 1, 2)]
    assert found == ['-1', 'neg', 'pos', '2']
    assert [cell.place for cell in found] == [-1, 0, 1, 2]


def test_a_column_of_some_files_is_read_where_it_is(tmp_path):
    (tmp_path / 'a.csv').write_text('text,label\nx,0\n')
    (tmp_path / 'b.csv').write_text('text,label,text_pair\ny,1,z\n')
    (tmp_path / 'c.csv').write_text('text,label\nw,1\n')
    found = {x.input: x.pair for x in instances(classified(tmp_path))}
    assert found == {'x': '', 'y': 'z', 'w': ''}


def test_a_json_beside_the_data_is_none_of_it(tmp_path):
    (tmp_path / 'a.csv').write_text('text,label\nx,0\n')
    (tmp_path / 'dataset_info.json').write_text('{"splits": {}}')
    assert texts(tmp_path) == ['x']


def test_shards_have_the_same_classes(tmp_path):
    hub_classes(tmp_path / 'a.parquet', ['neg', 'pos'], [0, 1])
    hub_classes(tmp_path / 'b.parquet', ['pos', 'neg'], [0, 1])
    with pytest.raises(ValueError, match=r'a\.parquet.*b\.parquet'):
        texts(tmp_path)


# Faults name file and line.


@pytest.mark.parametrize(
    ('name', 'raw', 'said'),
    [
        ('x.csv', 'text,label\na,b,1\n', 'line 2: found 3 cells, and the h'),
        ('x.csv', 'text,label\n"a\nb",1\nc\n', 'line 4: found 1 cells'),
        ('x.tsv', 'text\tlabel\na\tb\t1\n', 'line 2: found 3 cells'),
        ('x.csv', 'text,label\na,1\n"b,1\nc,0\n', 'begins at line 3 cannot'),
        ('x.csv', 'text,label\n"a"b,1\n', 'begins at line 2 cannot'),
        ('x.csv', 'text,label\na\0,1\n', 'line 2 has a NUL'),
        ('x.csv', b'text,label\na,1\ncaf\xe9,1\n', 'line 3, byte 3 is not UTF'),
        ('x.csv', 'text,label\na,1\n'.encode('utf-16'), 'byte 0 is not UTF-8'),
        ('x.csv', 'text,label,text\na,1,b\n', "column 'text' is there twice"),
        ('x.csv', 'text;label\na, b;1\n', 'separated by semicolons; use comm'),
        ('x.csv', 'text\tlabel\na\t1\n', 'separated by tabs; rename it to .t'),
        ('x.csv', 'text,label\n', 'has no row'),
        ('x.csv', '', 'is empty'),
        ('x.jsonl', '\n', 'has no row'),
        ('x.jsonl', '{"text": 1, "text": 2}\n', "line 1: key 'text' is there"),
        ('x.jsonl', '{"text": 1,\n{}\n', 'not JSON at line 1'),
        ('x.jsonl', '{"text": "a", "label": 0}\n[1]', 'line 2: the line: f'),
        ('x.jsonl', b'{"text": "a", "label": 0}\n{"\xe9', 'line 2, byte 2'),
        ('x.jsonl', '{"text": NaN, "label": 0}', 'row 1: text: found nothing'),
        ('x.jsonl', '{"text": ["a"], "label": 0}', 'row 1: text: found a list'),
        ('x.json', '[{"text": 1},\n{"text" 2}]', 'not JSON at line 2, colu'),
        ('x.json', '["a"]', 'row 1: the row: found str'),
        ('x.json', '{\n"text": [1], "label": []}', 'text 1, label 0'),
        ('x.parquet', 'version https://git-lfs', 'could not be read'),
    ],
)
def test_a_fault_of_a_table_names_its_place(name, raw, said, tmp_path):
    path = tmp_path / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    with pytest.raises(ValueError) as error:
        texts(path)
    assert str(path) in str(error.value) and said in str(error.value)


def test_a_fault_names_the_file_of_a_folder(tmp_path):
    (tmp_path / 'a.csv').write_text('text,label\nx,0\n')
    (tmp_path / 'b.csv').write_text('label,text\n1,y\n,z\n')
    with pytest.raises(ValueError, match=r'b\.csv: row 2: label: found noth'):
        texts(tmp_path)
    (tmp_path / 'b.csv').write_text('label,text\n1,y\n')
    assert texts(tmp_path) == ['x', 'y']
    (tmp_path / 'c.csv').write_text('label,words\n1,y\n')
    with pytest.raises(ValueError, match=r"\(.*c\.csv\): column 'text' is mis"):
        texts(tmp_path)


@pytest.mark.parametrize('name', ['x.jsonl', 'x.csv', 'x.parquet'])
@pytest.mark.parametrize('content', [PAGE, POINTER])
def test_what_downloads_leave_is_named(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    said = 'HTML page' if content is PAGE else 'Git LFS pointer'
    for source in ('classification', 'multiple_choice', 'jsonl'):
        if source == 'jsonl' and name != 'x.jsonl':
            continue
        config = tiny_sources.config(
            source, tmp_path / name, labels=('no', 'yes')
        )
        faults = '\n'.join(sources.get(source).faults(config))
        assert f'{name} is a' in faults and said in faults
