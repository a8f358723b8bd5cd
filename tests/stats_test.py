"""The statistics command: on a folder, in a line where it cannot, quickly."""

import json
import math
import subprocess
import sys

import pytest

from fedprompt_jax import stats

METADATA = [
    'Contributors',
    'Source',
    'URL',
    'Reasoning',
    'Input_language',
    'Output_language',
    'Instruction_language',
    'Domains',
]


@pytest.fixture
def folder(tmp_path):
    """Twelve tasks of six types, 40 instances each; the last type has 3."""
    (tmp_path / 'tasks').mkdir()
    for i in range(12):
        task = {key: [f'value {i // 4}'] for key in METADATA}
        task |= {
            'Categories': [f'Type {i // 2}'],
            'Definition': 'Do it.',
            'Positive Examples': [],
            'Negative Examples': [],
            'Instances': [
                {'id': f'{i}-{j}', 'input': 'x', 'output': 'y'}
                for j in range(3 if i >= 10 else 40)
            ],
        }
        file = tmp_path / 'tasks' / f'task{i}_x.json'
        file.write_text(json.dumps(task))
    return tmp_path


def _run(capsys, folder, *flags):
    stats.main([f'--data={folder}', '--client_size=20', *flags])
    return capsys.readouterr().out


def test_a_row_per_partition_and_the_reasons_of_what_was_dropped(
    capsys, folder
):
    lists = folder / 'splits' / 'mine'
    lists.mkdir(parents=True)
    names = [f'task{i}_x' for i in range(12)]
    (lists / 'train_tasks.txt').write_text('\n'.join(names[2:]))
    (lists / 'test_tasks.txt').write_text(names[0])
    found = json.loads(
        _run(capsys, folder, '--splits=mine', '--seed=1', '--json')
    )
    assert found['dropped_tasks'] == {'in no list': ['task1_x']}
    assert found['types_too_small'] == {'Type 5': 6}
    sizes = [s['instances'] for s in found['splits'].values()]
    assert sizes == [3 * 80 + 6, 80, 40]
    rows = found['partitions']
    assert [r['partition'] for r in rows] == [
        'high',
        'medium',
        'low',
        'dirichlet',
    ]
    assert {r['clients'] for r in rows} == {12}
    assert {r['instances']['mean'] for r in rows} == {20}
    assert list(rows[0]['mean_kl']) == [
        'type',
        'task',
        'source',
        'domain',
        'reasoning',
        'in lang',
        'out lang',
    ]
    assert rows[0]['mean_kl']['task'] > rows[2]['mean_kl']['task']


def test_the_printed_table_says_the_same(capsys, folder):
    text = _run(capsys, folder, '--partition=high', '--split=test')
    row = next(x for x in text.splitlines() if x.startswith('high'))
    assert ' '.join(row.split()) == 'high 4 20.0 ± 0.0 1.0 ± 0.0 1.0 ± 0.0'
    assert 'medium' not in text


def _make(folder, tasks):
    """Training tasks: (type, instances, output languages) each; two others."""
    (folder / 'tasks').mkdir()
    held_out = 'Answer Verification', 'Irony Detection'  # the paper's lists
    every = [*tasks, *((kind, 20, ['German']) for kind in held_out)]
    for i, (kind, count, languages) in enumerate(every):
        task = {key: ['same'] for key in METADATA}
        task |= {
            'Categories': [kind],
            'Output_language': languages,
            'Definition': 'Do it.',
            'Positive Examples': [],
            'Negative Examples': [],
            'Instances': [
                {'id': f'{i}-{j}', 'input': 'x', 'output': 'y'}
                for j in range(count)
            ],
        }
        (folder / 'tasks' / f'task{i}_x.json').write_text(json.dumps(task))


def test_the_divergences_by_hand(capsys, tmp_path):
    """Three clients of 20: of A in English, and two of B's two tasks."""
    _make(
        tmp_path,
        [
            ('A', 20, ['English']),
            ('B', 20, ['French']),
            ('B', 20, ['English', 'French']),
        ],
    )
    text = _run(capsys, tmp_path, '--partition=high', '--json')
    (row,) = json.loads(text)['partitions']
    assert row['clients'] == 3
    for label in 'instances', 'tasks', 'types':
        mean = {'instances': 20, 'tasks': 1, 'types': 1}[label]
        assert row[label] == {'mean': mean, 'sd': 0}
    log = math.log
    expected = {
        'type': (log(3) + 2 * log(1.5)) / 3,
        'task': log(3),
        'source': 0,
        'in lang': 0,
        # Half of all answers are in English, half in French.
        'out lang': (log(2) + log(2) + 0) / 3,
    }
    for label, kl in expected.items():
        assert row['mean_kl'][label] == pytest.approx(kl), label


def test_tasks_and_types_of_a_client_are_counted_apart(capsys, tmp_path):
    """A client of 40 instances has two tasks of one type."""
    _make(tmp_path, [('A', 20, ['English'])] * 2 + [('B', 20, ['French'])] * 2)
    flags = '--partition=high', '--client_size=40', '--json'
    (row,) = json.loads(_run(capsys, tmp_path, *flags))['partitions']
    assert row['clients'] == 2
    assert row['tasks']['mean'] == 2 and row['types']['mean'] == 1


def _dirichlet(capsys, folder, *flags):
    flags = '--partition=dirichlet', '--json', *flags
    return json.loads(_run(capsys, folder, *flags))['partitions'][0]


def test_a_seed_decides_who_has_what(capsys, tmp_path):
    _make(tmp_path, [(f'{i}', 100, ['English']) for i in range(3)])
    one, same, other = (
        _dirichlet(capsys, tmp_path, f'--seed={seed}') for seed in (1, 1, 2)
    )
    assert one == same != other


def test_a_smaller_alpha_has_fewer_types(capsys, tmp_path):
    _make(tmp_path, [(f'{i}', 200, ['English']) for i in range(6)])
    few, many = (
        _dirichlet(capsys, tmp_path, f'--dirichlet_alpha={alpha}')
        for alpha in (0.01, 100)
    )
    assert few['types']['mean'] < many['types']['mean']
    assert few['mean_kl']['type'] > many['mean_kl']['type']


def test_a_fault_ends_the_command_with_one_line(folder):
    with pytest.raises(SystemExit) as e:
        stats.main([f'--data={folder}', '--client_size=2000'])
    assert 'error: config.data.client_size=2000' in str(e.value)
    assert 'use 159 or less' in str(e.value)


def test_it_starts_without_jax():
    code = 'import fedprompt_jax.stats, sys; sys.exit("jax" in sys.modules)'
    subprocess.run([sys.executable, '-c', code], check=True)
