"""`python -m fedprompt_jax.study` on a tiny scale, and its parts."""

import copy
import csv
import gc
import itertools
import json
import math
from pathlib import Path
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml

from configs import fedavg_adam
from fedprompt_jax.experiment import preemption
from fedprompt_jax.experiment.config import lookup
from fedprompt_jax.report import canvas, page
from fedprompt_jax.study import commands, one_bank, points, table
from fedprompt_jax.study import runs as study_runs
from fedprompt_jax.study.outputs import Study
from tests import main_test, tiny_report, tiny_run
from tests.exhaustive import exhaustive
from tests.tiny_run import Runs, results

ROOT = Path(__file__).parents[1]
RATES = (0.03, 0.1, 0.3)
STUDY = f"""
def points():
    for rate in {RATES}:
        yield {{'client.learning_rate': rate}}
"""
DRAWN = """
from fedprompt_jax.report import canvas

CAPTION = 'Local loss by <rate>.'

def draw(results):
    figure = canvas.blank(3, 3)
    axes = figure.subplots()
    for result in results:
        if result.run is not None:
            rate = result.overrides['client.learning_rate']
            axes.plot(rate, result.run.rows[0]['loss'], 'o')
    return figure
"""
SHORT = {
    'rounds': 2,
    'clients_per_round': 3,
    'local_steps': 2,
    'personalization__epochs': 2,
}
OTHER = SHORT | {'local_steps': 3}
SHORTEST = {
    'rounds': 2,
    'validation__every': 0,
    'personalization__epochs': 0,
}
NAMES = [f'client.learning_rate={rate}' for rate in RATES]


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'))


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """They take longer than all the rest, and have tests elsewhere."""
    monkeypatch.setattr(page, 'write', lambda *_: None)


def study(runs, name: str, text: str, together: int = 1, **changes) -> Path:
    """Runs a study in this process; its folder.

    Args:
      runs: with a tiny model and tiny data.
      name: of the folder.
      text: of the study's file.
      together: how many runs are one bank.
      **changes: of the config.
    """
    folder = runs.folder / name
    file = runs.folder / f'{name}.py'
    file.write_text(text)
    found = points.read(file, runs.config(**changes))
    gc.collect()  # a run that was stopped has left its lock
    cache = runs.folder / 'cache'
    study_runs.run_all(found, folder, cache, together, Study(folder, name))
    return folder


def text_table(found, records) -> str:
    cells = table.cells(found, records)
    return table.text(cells, table.notes(records), table.gaps(records))


def stop_when(monkeypatch, ready):
    """Has SIGTERM come as soon as `ready()`."""
    monkeypatch.setattr(preemption.Preemption, 'asked', lambda _: ready())


def rows(folder: Path) -> list[dict]:
    with open(folder / 'table.csv') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def swept(runs) -> Path:
    """A study that was stopped in its second run and started again."""
    log = runs.folder / 'swept' / NAMES[1] / 'metrics.jsonl'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, 'write', lambda *_: None)
        with patch.context() as stopping, pytest.raises(preemption.Preempted):
            stop_when(stopping, lambda: main_test.lines(log) >= 2)
            study(runs, 'swept', STUDY, **SHORT)
        assert not (runs.folder / 'swept' / NAMES[2]).exists()
        return study(runs, 'swept', STUDY, **SHORT)


def test_runs_of_a_study_are_runs_alone(runs, swept):
    path = runs.folder / 'alone'
    runs.start(path, client__learning_rate=RATES[1], **SHORT)
    assert results(swept / NAMES[1]) == results(path)


def test_the_table_holds_every_run_and_its_scores(swept):
    found = rows(swept)
    assert [row['point'] for row in found] == NAMES
    assert {row['status'] for row in found} == {'complete'}
    for row in found:
        with open(swept / row['point'] / 'tradeoff.csv') as file:
            local = [
                float(r['rouge_l'])
                for r in csv.DictReader(file)
                if (r['prompt'], r['split'], r['epoch'])
                == ('personalized', 'local', '2')
            ]
        assert float(row['personalized.local.rouge_l']) == pytest.approx(
            np.mean(local)
        )


def test_a_second_start_runs_nothing(runs, swept, capsys):
    before = {p: p.stat().st_mtime_ns for p in swept.rglob('*') if p.is_file()}
    study(runs, 'swept', STUDY, **SHORT)
    assert '3 of 3 runs are complete' in capsys.readouterr().err
    changed = {p for p, at in before.items() if p.stat().st_mtime_ns != at}
    again = ('table.csv', 'table.md', 'report.html')
    assert changed <= {swept / name for name in again}


@exhaustive
def test_one_bank_gives_what_runs_alone_give(runs, swept):
    bank = study(runs, 'bank', STUDY, together=3, **SHORT)
    for alone, together in zip(rows(swept), rows(bank), strict=True):
        assert alone.keys() == together.keys()
        for key in alone:
            if key.endswith('.loss'):
                assert float(together[key]) == pytest.approx(
                    float(alone[key]), rel=1e-3, nan_ok=True
                )
    for name in NAMES:
        for a, b in zip(
            main_test.metrics(swept / name),
            main_test.metrics(bank / name),
            strict=True,
        ):
            assert a.keys() == b.keys()
            if a['stage'] == 'train':
                assert a['loss'] == pytest.approx(b['loss'], rel=1e-4)
    prompts = {p.name for p in (swept / NAMES[0] / 'prompts').iterdir()}
    for name in NAMES:
        saved = bank / name / 'prompts'
        assert {p.name for p in saved.iterdir()} == prompts


@pytest.mark.parametrize('together', [1, 2])
def test_a_run_that_diverges_does_not_stop_the_others(runs, together):
    wild = (
        'def points():\n'
        "    yield {'client.learning_rate': 1e39}\n"
        "    yield {'client.learning_rate': 0.1}\n"
    )
    sgd = SHORTEST | {'client__optimizer': 'sgd', 'server__optimizer': 'sgd'}
    folder = study(runs, f'wild-{together}', wild, together, **sgd)
    first, second = rows(folder)
    assert first['status'].startswith('diverged: Round 1 would make')
    assert second['status'] == 'complete'
    # What the runs left says so, too.
    found = points.read(runs.folder / f'{folder.name}.py', runs.config(**sgd))
    folders = [folder / point.name for point in found]
    ends = list(map(table.status, found, folders))
    assert ends == [first['status'], second['status']]
    text = Study(folder, 'again').write(found, folders, ends)
    assert f'{found[0].name}: diverged' in text
    page = (folder / 'report.html').read_text()
    assert f'No result: {found[0].name}: diverged' in page
    assert 'diverged' in (folder / 'table.md').read_text()


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('rates = 1', 'has no function points()'),
        ('def points():\n  yield {"client.learning_rat": 1}', 'no key'),
        (
            'def points():\n  yield {"config.seed": 1}',
            "of 'config.seed': 'seed'",
        ),
        ('def points():\n  yield {"rounds": "many"}', "rounds='many'"),
        ('def points():\n  yield {"rounds": -1}', 'config.rounds=-1'),
        ('def points():\n  yield 3', 'must be a dict'),
        ('def points():\n  yield {}\n  yield {}', 'is there already'),
        ('def points():\n  yield from ()', 'yields nothing'),
        ('def points(:', 'SyntaxError'),
        ('def points():\n  yield {}\n  1 / 0', 'ZeroDivisionError'),
        ('def points():\n  return None', 'TypeError'),
        ('def points(n, m):\n  yield {}', 'TypeError'),
        ('def points():\n  yield {"client": {"optimizer": "x"}}', 'a key and'),
        ('def points():\n  yield {"prompt.text": None}', 'a key and'),
        ('def points():\n  yield {1: 2}', 'the key 1 must be text'),
        ('def points():\n  yield {"rounds": True}', 'must be a int'),
    ],
)
def test_faults_of_a_study_s_file_are_told(text, told, tmp_path):
    (tmp_path / 's.py').write_text(text)
    with pytest.raises(ValueError) as error:
        points.read(tmp_path / 's.py', fedavg_adam.get_config())
    assert told in str(error.value) and 's.py' in str(error.value)


def test_all_faults_of_all_points_come_together(tmp_path):
    (tmp_path / 's.py').write_text(
        "def points():\n  yield {'rounds': -1}\n  yield {'batch_size': 0}\n"
    )
    with pytest.raises(ValueError) as error:
        points.read(tmp_path / 's.py', fedavg_adam.get_config())
    for text in ('point 0', 'config.rounds=-1', 'point 1', 'batch_size=0'):
        assert text in str(error.value)


def test_values_that_a_name_does_not_tell_apart(tmp_path):
    """Their runs have folders, and lines of the table, of their own."""
    (tmp_path / 's.py').write_text(
        'import numpy as np\n'
        'def points():\n'
        '  for separator in " ", "\\n":\n'
        '    for seed in 0, 1:\n'
        '      yield {"data.separator": separator, "seed": np.int64(seed)}\n'
        '  yield {"personalization.alphas": tuple(np.array([0.25, 0.5]))}\n'
    )
    found = points.read(tmp_path / 's.py', fedavg_adam.get_config())
    assert len({point.name for point in found}) == 5
    scored = [{'point': p.name, 'status': 'complete'} for p in found]
    text = text_table(found, scored)
    assert text.count(' 2/2') == 2 and text.count(' 1/1') == 1
    (line,) = commands.lines('shell', found[-1:], tmp_path, [])
    assert '--config.personalization.alphas=(0.25, 0.5)' in shlex.split(line)


def test_runs_that_do_not_fit_in_a_bank_are_refused(runs):
    plain = (
        'def points():\n    for seed in 0, 1:\n'
        "        yield {'simulation': 'vmap', 'seed': seed}\n"
    )
    with pytest.raises(ValueError, match=r"config\.simulation='vmap' must be"):
        study(runs, 'plain', plain, together=2)
    assert not (runs.folder / 'plain').exists()


@pytest.mark.parametrize(
    'name', sorted((ROOT / 'configs/studies').glob('*.py'))
)
def test_shipped_studies_are_sound(name):
    found = points.read(name, fedavg_adam.get_config())
    assert len(found) > 1
    for point in found:
        for key, value in point.overrides.items():
            config = point.config
            for part in key.split('.'):
                config = config[part]
            assert config == value


SHIPPED = {  # name -> key -> its values
    'seeds': {'seed': (0, 1, 2, 3, 4)},
    'heterogeneity': {
        'data.partition': ('high', 'medium', 'low'),
        'seed': (0, 1, 2),
    },
    'learning_rates': {
        'client.learning_rate': (0.01, 0.03, 0.1, 0.3),
        'server.learning_rate': (0.03, 0.1),
    },
    'personalization': {
        'personalization.learning_rate': (0.003, 0.01, 0.03, 0.1),
        'personalization.l2': (0.0, 0.1, 1.0),
    },
}


@pytest.mark.parametrize('name', SHIPPED)
def test_shipped_studies_have_all_their_points(name):
    path = ROOT / 'configs' / 'studies' / f'{name}.py'
    found = points.read(path, fedavg_adam.get_config())
    values = itertools.product(*SHIPPED[name].values())
    expected = [dict(zip(SHIPPED[name], v, strict=True)) for v in values]
    assert [point.overrides for point in found] == expected


# What is not in one call of the model, or is a run's own in it.
A_RUN_S_OWN = (
    'name', 'scale', 'seed', 'data.splits', 'data.partition',
    'data.client_size', 'data.dirichlet_alpha', 'data.held_out_share',
    'data.server_share', 'data.num_clients', 'data.size_alpha',
    'algorithm', 'rounds', 'clients_per_round', 'local_steps', 'local_epochs',
    'batch_size', 'aggregation', 'client', 'client_store', 'server',
    'validation', 'personalization', 'checkpoint', 'log',
    'measures', 'heterogeneity', 'landscape',
)  # fmt: skip


def test_runs_of_a_bank_share_all_that_one_call_of_the_model_reads():
    config = fedavg_adam.get_config()
    for part, value in config.to_dict().items():
        inner = value if isinstance(value, dict) else {'': value}
        for name in inner:
            key = f'{part}.{name}'.strip('.')
            other = copy.deepcopy(config)
            with other.ignore_type():
                other.update_from_flattened_dict({key: 'other'})
            both = [points.Point('', {}, c) for c in (config, other)]
            own = key in A_RUN_S_OWN or part in A_RUN_S_OWN
            assert bool(list(one_bank.faults(both))) != own, key
    config.peft = 'full'
    (told,) = one_bank.faults([points.Point('a', {}, config)] * 2)
    assert 'bank of one' in told
    config.peft, config.simulation = 'prompt', 'vmap'
    (told,) = one_bank.faults([points.Point('a', {}, config)] * 2)
    assert "must be 'packed'" in told


def test_every_run_of_a_bank_ends_by_itself(monkeypatch, tmp_path):
    """Each with its config and folder; what one raises is its own end."""

    def execute(
        config, folder, cache_dir, loaded, preemption, together, others
    ):
        if config == 1:
            raise FloatingPointError('one')
        assert (folder.name, together.number) == (f'run {config}', config)
        assert together.size == 3

    monkeypatch.setattr(one_bank.run_lib, 'execute', execute)
    some = [points.Point(f'{i}', {}, i) for i in range(3)]
    folders = [tmp_path / f'run {i}' for i in range(3)]
    ends = one_bank.run(some, folders, tmp_path, None, None, [()] * 3)
    assert [type(end) for end in ends] == [
        type(None), FloatingPointError, type(None)
    ]  # fmt: skip


def test_runs_are_grouped_in_their_order(monkeypatch, tmp_path):
    """Seven by three; each has its own folder and its own end."""
    config = fedavg_adam.get_config()
    configs = [copy.deepcopy(config) for _ in range(7)]
    for seed, other in enumerate(configs):
        other.seed = seed  # else they would share stage 1
    some = [points.Point(f'p{i}', {}, c) for i, c in enumerate(configs)]
    groups, written = [], []

    def run(group, folders, *_):
        groups.append([point.name for point in group])
        assert [f.name for f in folders] == groups[-1]
        return [f'end of {point.name}' for point in group]

    class Recorder:
        def write(self, found, folders, ends):
            written.append(list(ends))
            return f'table {len(written)}'

    monkeypatch.setattr(study_runs, '_check', lambda *_: None)
    monkeypatch.setattr(study_runs, '_run', run)
    monkeypatch.setattr(study_runs, 'SECONDS', -1.0)
    text = study_runs.run_all(some, tmp_path, tmp_path, 3, Recorder())
    assert groups == [['p0', 'p1', 'p2'], ['p3', 'p4', 'p5'], ['p6']]
    assert written[0][3:] == ['not complete'] * 4
    assert written[-1] == [f'end of p{i}' for i in range(7)]
    assert text == 'table 4'


def test_the_first_end_that_is_no_divergence_is_raised(monkeypatch, tmp_path):
    config = fedavg_adam.get_config()
    some = [points.Point(f'p{i}', {}, config) for i in range(3)]
    ends: list = [None, FloatingPointError('wild'), None]
    monkeypatch.setattr(one_bank, 'run', lambda *_: ends)
    args = some, [tmp_path] * 3, tmp_path, None
    found = study_runs._run(*args)
    assert found == ['complete', 'diverged: wild', 'complete']
    ends[2] = preemption.stopped('round', 1)
    with pytest.raises(preemption.Preempted):
        study_runs._run(*args)


def test_the_scores_of_a_run_by_their_names(tmp_path):
    """Of the validation that chose, and means over test clients."""
    tiny_report.write_scores(tmp_path, tiny_report.scores())
    lines = [
        {'stage': 'validation', 'round': r, 'rouge_l': x, 'exact_match': x / 2}
        | {'loss': 9.0 - r}
        for r, x in ((0, 9.0), (1, 7.0), (2, 8.0), (3, 6.0))
    ]
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (tmp_path / 'metrics.jsonl').write_text(text)
    found = table.scores(tmp_path)
    expected = {
        'validation.round': 2,
        'validation.rouge_l': 8,
        'validation.exact_match': 4,
        'validation.loss': 7,
        'global.local.rouge_l': 20,
        'global.global.rouge_l': 25,
        'personalized.local.rouge_l': 26,
        'personalized.global.rouge_l': 21.5,
        'averaged(0.5).local.rouge_l': 22.5,
        'averaged(0.75).global.exact_match': 11.5,
    }
    assert {key: found[key] for key in expected} == expected


def test_the_interval_is_student_s():
    found = table.interval([1.0, math.nan, 2.0, 3.0])
    assert found.mean == 2 and found.seeds == 3
    assert found.half == pytest.approx(4.302653 / math.sqrt(3))
    assert math.isnan(table.interval([1.0]).half)
    assert math.isnan(table.interval([math.nan]).mean)


def test_seeds_share_a_line():
    config = fedavg_adam.get_config()
    some = [{'rounds': r, 'seed': s} for r in (1, 2) for s in (0, 1)]
    found = [points.Point(points.name_of(o), o, config) for o in some]
    scored = [
        {'point': p.name, 'status': 'complete', 'validation.loss': float(i)}
        for i, p in enumerate(found)
    ]
    text = text_table(found, scored)
    # 12.706 / sqrt(2) * sd of two numbers one apart, sqrt(1/2).
    assert 'rounds=1' in text and '0.50 ± 6.35' in text
    assert 'rounds=2' in text and '2.50 ± 6.35' in text


def test_the_table_shows_before_and_after():
    point = points.Point('p', {'rounds': 1}, fedavg_adam.get_config())
    row = {
        'point': 'p',
        'status': 'complete',
        'validation.rouge_l': 1.0,
        'global.local.rouge_l': 2.0,
        'personalized.local.rouge_l': 3.0,
        'personalized.global.rouge_l': 4.0,
    }
    header, line, *_ = text_table([point], [row]).splitlines()
    assert line.split()[2:] == ['1.00', '2.00', '3.00', '4.00']
    names = ['valid. ROUGE-L', 'local, before', 'local, after', 'global, after']
    assert ' '.join(header.split()[1:]) == ' '.join(names)


def test_runs_whose_answers_are_chosen_show_accuracy():
    config = fedavg_adam.get_config()
    some = [points.Point(f'{i}', {'rounds': i}, config) for i in (1, 2, 3)]
    scored = [
        {'point': p.name, 'status': 'complete', 'selection': 'exact_match'}
        | {'validation.exact_match': 50.0, 'validation.rouge_l': 7.0}
        for p in some[:2]
    ]
    ended = [*scored, {'point': '3', 'status': 'diverged: no'}]
    text = text_table(some, ended)
    assert 'valid. accuracy' in text and 'ROUGE-L' not in text
    assert 'Accuracy x 100' in text and '50.00' in text
    mixed = text_table(
        some[:2], [scored[0], scored[1] | {'selection': 'rouge_l'}]
    )
    assert 'valid. ROUGE-L' in mixed and '7.00' in mixed


def test_commands_are_the_runs(tmp_path):
    config = fedavg_adam.get_config()
    overrides = {'client.learning_rate': 0.1, 'lora.targets': 'a|b'}
    point = points.Point(points.name_of(overrides), overrides, config)
    shared = ['--config=configs/fedavg_adam.py', '--config.rounds=2']
    own = [
        '--config.client.learning_rate=0.1',
        '--config.lora.targets=a|b',
        f'--workdir={tmp_path / point.name}',
    ]
    (line,) = commands.lines('shell', [point], tmp_path, shared)
    assert shlex.split(line) == ['python', 'main.py', *shared, *own]
    *script, array = commands.lines('slurm', [point] * 3, tmp_path, shared)
    subprocess.run(['bash', '-c', '\n'.join(script)], check=True)
    assert array.endswith('sbatch --array=0-2 launch/slurm.sbatch')
    for task in ('0', '2'):
        done = subprocess.run(
            ['bash', 'launch/slurm.sbatch', '--dry-run'],
            cwd=ROOT,
            env={
                'PATH': '/usr/bin:/bin',
                'FLAGS_FILE': str(tmp_path / 'flags.txt'),
                'SLURM_ARRAY_TASK_ID': task,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        words = shlex.split(done.stdout.splitlines()[0])
        assert words[-5:] == [*shared, *own]
    text = '\n'.join(commands.lines('jobset', [point, point], tmp_path, shared))
    jobs = list(yaml.safe_load_all(text))
    names = [job['metadata']['name'] for job in jobs]
    study = names[0].split('-')[1]
    assert names == [f'fedprompt-{study}-0', f'fedprompt-{study}-1']
    (other,) = yaml.safe_load_all(
        '\n'.join(commands.lines('jobset', [point], tmp_path / 'x', shared))
    )
    assert other['metadata']['name'] not in names
    for job in jobs:
        (inner,) = job['spec']['replicatedJobs']
        pod = inner['template']['spec']['template']['spec']
        first, cache, *rest = pod['containers'][0]['args']
        assert (first, cache) == ('--distributed', '--cache_dir=/folders/cache')
        assert rest == [*shared, *own]


def test_the_devices_that_runs_need_are_told():
    small, large = fedavg_adam.get_config(), fedavg_adam.get_config()
    large.mesh.data, large.mesh.model = 4, 2
    found = [points.Point('p', {}, c) for c in (small, large, small)]
    told = commands.devices(found)
    assert '1 (config.mesh 1 x 1) and 8 (config.mesh 4 x 2)' in told


def test_a_key_is_given_once(tmp_path):
    """Since ml_collections adds up tuples that are given twice."""
    overrides = {'personalization.alphas': (0.25,)}
    config = fedavg_adam.get_config()
    point = points.Point(points.name_of(overrides), overrides, config)
    shared = ['--config.personalization.alphas=(0.5,)', '--config.seed', '3']
    assert list(commands.without(['--a', '1', '--b', '--c'], ['a', 'b'])) == [
        '--c'
    ]
    (line,) = commands.lines('shell', [point], tmp_path, shared)
    assert shlex.split(line)[2:-1] == [
        '--config.seed', '3', '--config.personalization.alphas=(0.25,)'
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('kind', 'workdir', 'value', 'told'),
    [
        ('jobset', 'studies/x', ' ', 'must be where the pods'),
        ('slurm', '/studies/x', '\n\n', 'line break'),
    ],
)
def test_commands_that_would_not_run_are_refused(kind, workdir, value, told):
    overrides = {'data.separator': value}
    config = fedavg_adam.get_config()
    point = points.Point('p', overrides, config)
    with pytest.raises(ValueError, match=told):
        list(commands.lines(kind, [point], Path(workdir), []))


@pytest.mark.parametrize(
    ('point', 'told'),
    [
        ("{'data.client_size': 900}", r'data\.client_size=900: '),
        ("{'mesh.data': 64}", r'mesh\.data=64: config\.mesh\.data=64 times'),
    ],
)
def test_faults_of_later_runs_come_before_the_first(runs, point, told):
    few = f"def points():\n    yield {{'seed': 1}}\n    yield {point}\n"
    with pytest.raises(ValueError, match=told):
        study(runs, 'few', few)
    assert not (runs.folder / 'few').exists()


@exhaustive
def test_other_seeds_and_partitions_in_one_bank_that_was_stopped(
    runs, monkeypatch
):
    """Each run has clients, cohorts and row shapes of its own."""
    mixed = (
        'def points():\n'
        "    yield {'seed': 0, 'data.partition': 'high'}\n"
        "    yield {'seed': 1, 'data.partition': 'low', 'batch_size': 3}\n"
        "    yield {'seed': 2, 'algorithm': 'fedsgd', 'local_steps': 1}\n"
    )
    # Plain SGD: Adam would take the rounding of a gradient near 0 for a sign.
    plain = {'client__optimizer': 'sgd', 'server__optimizer': 'sgd'}
    short = SHORTEST | plain
    alone = study(runs, 'mixed-alone', mixed, **short)
    bank, names = runs.folder / 'mixed-bank', [r['point'] for r in rows(alone)]
    with monkeypatch.context() as stopping:
        logs = [bank / name / 'metrics.jsonl' for name in names]
        stop_when(stopping, lambda: main_test.lines(logs[0]) >= 1)
        with pytest.raises(preemption.Preempted):
            study(runs, 'mixed-bank', mixed, together=3, **short)
    # One of them was a round behind the others when the machine was lost.
    newest = max((bank / names[1] / 'checkpoints' / 'train').iterdir())
    shutil.rmtree(newest)
    study(runs, 'mixed-bank', mixed, together=3, **short)
    for name in names:
        pairs = zip(
            main_test.metrics(alone / name),
            main_test.metrics(bank / name),
            strict=True,
        )
        for one, other in pairs:
            assert one.keys() == other.keys()
            if 'loss' in one:
                assert one['loss'] == pytest.approx(other['loss'], rel=1e-3)


def test_runs_of_another_config_are_not_counted(runs, swept):
    found = points.read(runs.folder / 'swept.py', runs.config(**OTHER))
    folders = [swept / point.name for point in found]
    told = 'of another config: config.local_steps: 2 there, 3 now'
    ends = list(map(table.status, found, folders))
    assert ends == [told] * len(NAMES)
    text = Study(swept, 'swept').write(found, folders, ends)
    assert text.count('0/1') == text.count(told) == len(NAMES)
    assert {row['status'] for row in rows(swept)} == {told}
    with pytest.raises(ValueError) as error:
        study(runs, 'swept', STUDY, **OTHER)
    assert str(error.value).count(told) == len(NAMES)
    assert 'Nothing was run' in str(error.value)
    study(runs, 'swept', STUDY, **SHORT)
    assert {row['status'] for row in rows(swept)} == {'complete'}


@pytest.fixture(scope='module')
def command(runs):
    """`python -m fedprompt_jax.study` on the same tiny model and data."""

    def start(workdir: str, *more: str) -> subprocess.CompletedProcess:
        (runs.folder / 'rates.py').write_text(STUDY + DRAWN)
        config = runs.config(**SHORT)
        keys = (*tiny_run.FLAGS, 'model.source', 'data.path')
        keys += tuple(key.replace('__', '.') for key in SHORT)
        flags = [
            f'--config.{key}={lookup(config, key)}'
            for key in dict.fromkeys(keys)
        ]
        return subprocess.run(
            [
                sys.executable,
                '-m',
                'fedprompt_jax.study',
                f'--study={runs.folder / "rates.py"}',
                '--config=configs/fedavg_adam.py',
                f'--workdir={runs.folder / workdir}',
                f'--cache_dir={runs.folder / "cache"}',
                *flags,
                *more,
            ],
            cwd=ROOT,
            env=main_test.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_the_command_prints_commands(runs, command):
    done = command('printed', '--commands=shell')
    assert done.returncode == 0, done.stderr
    found = [shlex.split(line) for line in done.stdout.splitlines()]
    assert len(found) == len(RATES)
    for words, rate in zip(found, RATES, strict=True):
        assert f'--config.client.learning_rate={rate}' in words
        assert not any('study=' in w or 'commands' in w for w in words)
        places = [w for w in words if w.startswith('--workdir')]
        assert len(places) == 1
    assert not (runs.folder / 'printed').exists()


def test_a_figure_that_cannot_be_drawn_loses_no_table(
    runs, swept, tmp_path, caplog
):
    found = points.read(runs.folder / 'swept.py', runs.config(**SHORT))
    folders = [swept / point.name for point in found]
    ends = list(map(table.status, found, folders))

    def draw(drawn):
        assert [result.overrides for result in drawn] == [
            point.overrides for point in found
        ]
        assert all(result.run.rows for result in drawn)
        raise KeyError('a column')

    wrong = Study(tmp_path, 'broken', 'A caption.', draw)
    text = wrong.write(found, folders, ends)
    assert all(name in text for name in NAMES)
    assert 'The figure of broken cannot be made: KeyError' in caplog.text
    assert not (tmp_path / 'figure.png').exists()
    assert (tmp_path / 'table.csv').exists()


def test_the_page_has_the_figure_its_caption_and_the_table(
    runs, swept, tmp_path
):
    found = points.read(runs.folder / 'swept.py', runs.config(**SHORT))
    folders = [swept / point.name for point in found]
    ends = ['complete', 'complete', 'not complete']

    def draw(drawn):
        assert [r.run is None for r in drawn] == [False, False, True]
        return canvas.blank(2, 2)

    Study(tmp_path, 'a & b', 'Of <them>.', draw).write(found, folders, ends)
    page = (tmp_path / 'report.html').read_text()
    for part in ('a &amp; b', 'Of &lt;them&gt;.', 'data:image/png', NAMES[1]):
        assert part in page
    assert f'No result: {NAMES[2]}: not complete' in page
    lines = (tmp_path / 'table.md').read_text().splitlines()
    assert lines[0].startswith('|  | runs | valid. ROUGE-L |')
    assert lines[2].startswith(f'| {NAMES[0]} | 1/1 | ')
    assert lines[4].startswith(f'| {NAMES[2]} | 0/1 | – |')


def test_points_may_follow_the_config(tmp_path):
    file = tmp_path / 'follows.py'
    file.write_text(
        "def points(config):\n    yield {'rounds': config.rounds + 1}\n"
    )
    config = fedavg_adam.get_config()
    config.rounds = 6
    assert points.read(file, config)[0].overrides == {'rounds': 7}
