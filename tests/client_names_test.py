"""Clients by name: the order of rows changes nothing, results name clients."""

import csv
import json
from pathlib import Path
import random

import datasets
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.data import splits
from fedprompt_jax.data.listing import listing
from fedprompt_jax.experiment import data as data_lib
from fedprompt_jax.experiment import run_folder
from fedprompt_jax.experiment.last_loaded import LastLoaded
from fedprompt_jax.experiment.prompts import client_folder
from fedprompt_jax.report import page
from fedprompt_jax.report.records import read_tradeoff
from tests import tiny_sources

ODD = (  # names that clients may have, all different
    'clinic 1', 'Clinic 1', '../x', '/etc', '..', 'CON', 'a,b', 'say "a"',
    'two\nlines', 'carriage\rreturn', 'both\r\n', '🙂', ' spaces ', 'dots...',
    'x' * 300, 'x' * 299 + 'y', 'é' * 50, 'e\u0301' * 50, '=1+1', 'nul\0',
)  # fmt: skip


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    cache = tmp_path / 'hf cache'
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', cache)


def rows_of(names, each=6, tasks=3) -> list[dict]:
    """JSON lines of clients; an input starts with its client's name."""
    return [
        {
            'client': name,
            'task': f'task {(c + i) % tasks}',
            'input': f'{name}| says {i}',
            'output': ['the river', 'a name'][: 1 + i % 2],
        }
        for c, name in enumerate(names)
        for i in range(each)
    ]


def write(folder: Path, *files: list[dict]) -> Path:
    folder.mkdir()
    for i, rows in enumerate(files):
        tiny_sources.write_lines(folder / f'{i}.jsonl', rows)
    return folder


def load(lm, path: Path, source='jsonl', seed=0, **changes):
    """The data of a small run on the rows at `path`."""
    c = fedavg_adam.get_config()
    c.data.update(
        {'source': source, 'path': str(path), 'splits': 'clients'}
        | {'partition': 'client' if source == 'jsonl' else 'low'}
        | {'client_size': 8}
        | changes
    )
    c.update(seed=seed, clients_per_round=2)
    c.validation.update(clients=2, examples=3)
    c.personalization.update(
        clients=2, train_examples=4, eval_examples=2, global_examples=4
    )
    cache = path.parent / f'cache of {path.name}'
    return data_lib.load(c, lm.tokenizer, lm.config, cache, LastLoaded())


def drawn(data) -> list:
    """All that a run draws from its data, as texts in their order."""

    def texts(instances):
        records = [data.store.record(int(i)) for i in instances]
        return [{k: v for k, v in r.items() if k != 'id'} for r in records]

    parts = [texts(data.population.order), data.population.starts.tolist()]
    for own in (data.validation, data.held_out):
        parts += [own.clients.tolist(), own.names, texts(own.common)]
        parts += [texts(x) for x in (*own.train, *own.local)]
    return parts


# The order of rows.


@pytest.mark.parametrize('partition', ['client', 'high', 'low', 'dirichlet'])
def test_the_order_of_lines_and_files_changes_no_draw(partition, lm, tmp_path):
    rows = rows_of([f'clinic {c}' for c in range(12)])
    rows += rows[:5]  # some lines twice
    mixed = random.Random(1).sample(rows, len(rows))
    orders = {
        'as written': [rows],
        'reversed': [rows[::-1]],
        'mixed': [mixed],
        'three files': [mixed[:20], mixed[20:], []],
        'a file a client': [rows[i : i + 6] for i in range(0, len(rows), 6)],
    }
    seen = [
        drawn(load(lm, write(tmp_path / k, *v), partition=partition))
        for k, v in orders.items()
    ]
    assert all(one == seen[0] for one in seen)


def test_equal_examples_of_two_clients_are_told_apart(lm, tmp_path):
    rows = [
        {'client': f'{c}', 'task': 't', 'input': f'says {i}', 'output': 'a'}
        for c in range(12)
        for i in range(6)
    ]
    seen = [
        drawn(load(lm, write(tmp_path / str(k), those), partition='low'))
        for k, those in enumerate((rows, rows[::-1]))
    ]
    assert seen[0] == seen[1]


@pytest.mark.parametrize('source', ['classification', 'multiple_choice'])
def test_the_order_of_a_table_changes_no_draw(source, lm, tmp_path):
    options = ['the river', 'a passage', 'name']
    rows = [
        {
            'question': f'what is {i % 40}',  # some questions twice
            'options': options[i % 3 :] + options[: i % 3],
            'answer': i % 2,
        }
        if source == 'multiple_choice'
        else {'text': f'review {i % 40}', 'label': i % 2}
        for i in range(64)
    ]
    keys = {'labels': ('bad', 'good')} if 'text' in rows[0] else {}
    orders = [rows, rows[::-1], random.Random(1).sample(rows, len(rows))]
    seen = []
    for i, those in enumerate(orders):
        (tmp_path / str(i)).mkdir()
        path = tiny_sources.write_lines(tmp_path / str(i) / 'set.jsonl', those)
        seen.append(drawn(load(lm, path, source, **keys)))
    assert seen[0] == seen[1] == seen[2]


def test_a_seed_still_decides_who_is_held_out(lm, tmp_path):
    path = write(tmp_path / 'rows', rows_of([f'clinic {c}' for c in range(20)]))
    chosen = [load(lm, path, seed=seed).held_out.names for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


# Names.


def test_the_names_of_held_out_clients_are_those_of_their_rows(lm, tmp_path):
    rows = random.Random(0).sample(rows_of(ODD, tasks=12), 6 * len(ODD))
    data = load(lm, write(tmp_path / 'rows', rows))
    assert data.store.client_names == sorted(ODD)
    for own in (data.validation, data.held_out):
        assert len({*own.names}) == 2
        for name, *parts in zip(own.names, own.train, own.local, strict=True):
            for i in np.concatenate(parts):
                assert data.store.record(int(i))['client'] == name
    shown = data.client_names
    assert list(shown) == ['validation', 'held_out']
    ids = data.held_out.clients.tolist()
    assert [shown['held_out'][i] for i in ids] == data.held_out.names
    assert not {*data.validation.names} & {*data.held_out.names}


def test_clients_that_a_partition_made_have_no_name(lm, tmp_path):
    rows = rows_of([f'clinic {c}' for c in range(12)])
    data = load(lm, write(tmp_path / 'rows', rows), partition='low')
    assert data.held_out.names == data.validation.names == ['', '']
    assert data.client_names == {}


@pytest.mark.parametrize('name', ODD)
def test_a_name_makes_a_folder_that_every_system_takes(name, tmp_path):
    folder = client_folder(7, name)
    assert Path(folder).name == folder and folder.startswith('client-7')
    assert len(folder.encode()) <= len('client-7-') + 60
    assert not set(folder) & set('/\\:*?"<>|\0\r\n ')
    assert not folder.endswith('.')
    (tmp_path / folder).mkdir()
    assert [p.name for p in tmp_path.iterdir()] == [folder]


def test_folders_of_clients_are_told_apart_and_readable():
    folders = {client_folder(i, name) for i, name in enumerate(ODD)}
    assert len({f.casefold() for f in folders}) == len(ODD)
    assert client_folder(3, '') == client_folder(3, '..') == 'client-3'
    assert client_folder(3, '../x') == 'client-3-.._x'
    assert client_folder(3, 'Saint-Denis 2') == 'client-3-Saint-Denis_2'
    assert client_folder(3, '東京病院') == 'client-3-東京病院'
    assert client_folder(3, 'é' * 50) == client_folder(3, 'e\u0301' * 50)
    assert client_folder(3, 'x' + 'é' * 50) == 'client-3-x' + 'é' * 29


def test_every_name_survives_tradeoff_csv(tmp_path):
    folder = run_folder.RunFolder(tmp_path, {}, {})
    values = dict.fromkeys(run_folder.TRADEOFF_FIELDS, 1)
    values |= {'run': 'r', 'prompt': 'global', 'split': 'local'}
    values['examples'] = 'held_out_client'
    rows = [
        values | {'client': i, 'client_name': name}
        for i, name in enumerate(ODD)
    ]
    folder.add_scores(rows[:3], [])
    folder.add_scores(rows[3:], [])
    back = read_tradeoff(tmp_path)
    assert [(r['client'], r['client_name']) for r in back] == [*enumerate(ODD)]


def test_a_table_of_a_version_without_names_is_read(tmp_path):
    new = ('client_name', 'examples')
    fields = [f for f in run_folder.TRADEOFF_FIELDS if f not in new]
    values = dict.fromkeys(fields, 1)
    values |= {'run': 'r', 'prompt': 'global', 'split': 'local'}
    with open(tmp_path / 'tradeoff.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerow(values)
    (row,) = read_tradeoff(tmp_path)
    assert (row['client'], row['client_name'], row['examples']) == (1, '', '')


# Long lists.


def test_a_listing_shows_the_first_names_and_counts_the_others():
    assert listing([]) == ''
    assert listing(['a', 'b']) == 'a, b'
    many = [f'task {i}' for i in range(100_000)]
    assert listing(many).startswith('task 0, task 1, ')
    assert listing(many).endswith('task 9, ... and 99,990 more')
    assert listing(many, 3) == 'task 0, task 1, task 2, ... and 99,997 more'
    assert listing(['two\nlines']) == 'two lines'
    for names in (['x' * 10_000], ['x' * 300] * 500, ['wort ' * 9] * 500):
        text = listing(names)
        assert text and len(text) < 200
        shown = sum(part != '' for part in text.split(' ... ')[0].split(', '))
        if shown < len(names):
            assert text.endswith(f'... and {len(names) - shown} more')


def test_what_is_logged_of_many_tasks_is_short(lm, tmp_path):
    long = 'a very long name of a task ' * 12
    rows = rows_of([f'{c}' for c in range(30)], tasks=180)
    rows = [r | {'task': f'{i} {long}'} for i, r in enumerate(rows)]
    data = load(lm, write(tmp_path / 'rows', rows))
    lines = data.description.splitlines()
    assert lines[0] == '180 instances of 180 tasks'
    assert len(lines) == 5 and max(map(len, lines)) < 300
    assert '144 tasks of 144 types (' in lines[1] and ' more)' in lines[1]


def test_a_report_shows_the_first_clients_and_counts_the_others(tmp_path):
    names = {str(i): f'<user {i}>' for i in range(5000)}
    info = {'clients': {'held_out': names, 'validation': {'0': 'ann'}}}
    (tmp_path / 'run.json').write_text(json.dumps(info))
    (tmp_path / 'config.json').write_text('{}')
    text = page.write(tmp_path).read_text()
    assert '&lt;user 0&gt;' in text and 'ann' in text
    assert text.count('&lt;user') == page.CLIENTS
    assert f'{5000 - page.CLIENTS:,} more, in run.json' in text


# config.data.client_size is named where clients are made with it.


def messages(lm, folder: Path, partition: str) -> list[str]:
    """The warning of small clients, and the errors of too few of them."""
    names = [f'clinic {c}' for c in range(12)]
    options = {'partition': partition, 'client_size': 4}
    path = write(folder / 'small', rows_of(names, each=4))
    found = [w for w in load(lm, path, **options).warnings if 'smallest' in w]
    path = write(folder / 'few', rows_of(names[:2], each=5))
    with pytest.raises(ValueError) as error:
        load(lm, path, **options)
    found.append(str(error.value))
    return found


def test_the_size_of_made_clients_is_not_blamed_for_those_of_the_data(
    lm, tmp_path
):
    for partition in ('client', 'low'):
        folder = tmp_path / partition
        folder.mkdir()
        small, *_, few = messages(lm, folder, partition)
        by_client = partition == 'client'
        for text in (small, few):
            assert ('client_size' not in text) == by_client, text
        assert ("client ('clinic " in small) == by_client


def test_an_unread_client_size_is_no_fault():
    from fedprompt_jax.experiment import config as config_lib

    c = fedavg_adam.get_config()
    c.data.update(client_size=1, source='jsonl', splits='clients')
    with pytest.raises(ValueError, match=r'config\.data\.client_size=1 must'):
        config_lib.check(c, files=False)
    c.data.partition = 'client'
    config_lib.check(c, files=False)


def test_the_advice_on_too_few_clients_would_help():
    def error(sizes, *asked, **more):
        with pytest.raises(ValueError) as caught:
            splits.split_clients(np.array(sizes), *asked, seed=0, **more)
        return str(caught.value)

    asked = error([5] * 6, 4, 4)
    assert 'lower config.validation.clients' in asked
    lonely = error([1] * 30 + [2] * 3, 1, 1)  # a tenth is more than there are
    assert 'lower config' not in lonely and '3 of them with' in lonely
    assert 'add clients of two or more instances' in lonely
    made = error([5] * 6, 4, 4, client_size=60)
    assert 'a smaller config.data.client_size than 60' in made
