"""Every study of Profit by its command, on a tiny model and tiny data."""

from collections import Counter
import csv
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import main_test, tiny, tiny_data, tiny_run

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'configs/studies/profit'
HIGH = '--only=data.partition=high'
# Study -> its flags here: some of its runs stand for all of them.
STUDIES = {
    'figure_4': [HIGH],
    'figure_3_left': [],
    'figure_3_center': [],
    'figure_3_right': [],
    'figure_5': [HIGH],
    'figure_7': ['--only=personalization.learning_rate=0.01,0.1'],
    'figure_8': [HIGH],
    'figure_9': [HIGH],
    'figure_10': [],
    'figure_11': [HIGH],
    'figure_12': [HIGH],
    'figure_13': [HIGH],
    'figure_14': [HIGH, '--only=prompt.length=10'],
    'figure_15': [HIGH, '--only=prompt.length=10'],
    'figure_16': [HIGH, '--only=prompt.length=10'],
    'figure_17': [],
    'figure_18': [HIGH],
    'figure_19': [HIGH],
    'equal_budget': [
        '--only=client.learning_rate=0.03',
        '--only=peft=prompt,ia3',
    ],
    'router': [HIGH],
    'seen_types': [],
    'flatness': [],
    'measured_heterogeneity': ['--only=seed=0', '--only=data.partition=high'],
    'selection': [
        HIGH,
        '--only=personalization.learning_rate=0.1',
        '--only=personalization.l2=0,0.001',
    ],
    'table_1': [],
    'table_2': [
        HIGH,
        '--only=server.learning_rate=0.1,1.0',
        '--only=client.learning_rate=0.1',
        '--only=algorithm=fedavg',
    ],
    'table_3': [
        HIGH,
        '--only=personalization.learning_rate=0.01,0.1',
        '--only=algorithm=fedavg',
    ],
}
WITHOUT_FIGURE = (
    'router', 'seen_types', 'selection', 'table_2', 'table_3',
)  # fmt: skip
SMALL = tiny_run.FLAGS | {
    'prompt.length': 10,
    'local_steps': 2,
    'rounds': 1,
    'validation.every': 1,
    'personalization.epochs': 2,
    'personalization.every': 1,
}
CONFIG = """
from configs import fedavg_adam

def get_config(scale='quickstart'):
    c = fedavg_adam.get_config(scale)
    c.update_from_flattened_dict({changes!r})
    return c
"""
# The command, several times in one process: it compiles once.
COMMANDS = """
import json, sys
from absl import flags
from absl.testing import flagsaver
from fedprompt_jax.experiment import command_line
from fedprompt_jax.report import figures
from fedprompt_jax.study import __main__ as program

figures.names = lambda: []  # of a run's own page, which has tests elsewhere
before = flagsaver.save_flag_values()
for argv in json.load(sys.stdin):
    flagsaver.restore_flag_values(before)
    flags.FLAGS['only'].unparse()
    sys.argv = argv
    command_line.parse(argv)
    program.main(argv[:1])
"""


class Commands:
    """Starts the command with a tiny config."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        changes = SMALL | {
            'model.source': str(tiny.make_checkpoint(folder / 'model')),
            'data.path': str(tiny_data.make_data(folder / 'data')),
        }
        (folder / 'tiny.py').write_text(CONFIG.format(changes=changes))

    def flags(self, study: str, workdir: str, *more: str) -> list[str]:
        return [
            'fedprompt_jax.study',
            f'--study={FOLDER / study}.py',
            f'--config={self.folder / "tiny.py"}',
            f'--workdir={self.folder / workdir}',
            f'--cache_dir={self.folder / "cache"}',
            *more,
        ]

    def start(self, cases: list[list[str]]) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, '-c', COMMANDS],
            cwd=ROOT,
            env=main_test.environment() | {'PYTHONPATH': str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(cases))
        process.stdin.close()
        return process

    def run(self, cases: list[list[str]]) -> str:
        """What all of them print, errors too."""
        process = self.start(cases)
        process.stdin = None
        out, err = process.communicate()
        assert process.returncode == 0, err[-3000:]
        return out + err


def results(folder: Path, study: str) -> Path:
    """The folder of a study's results, whatever its --only."""
    (found,) = (
        path
        for path in (folder / 'results').iterdir()
        if path.name.split('~')[0] == study
    )
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / 'table.csv').open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope='module')
def commands(tmp_path_factory) -> Commands:
    return Commands(tmp_path_factory.mktemp('studies'))


@pytest.fixture(scope='module')
def done(commands) -> Path:
    """The folder of all studies, made one after the other."""
    commands.run(
        [commands.flags(name, 'all', *only) for name, only in STUDIES.items()]
    )
    return commands.folder / 'all'


def test_every_study_is_tried():
    there = {path.stem for path in FOLDER.glob('*.py')} - {'settings'}
    assert there == set(STUDIES)


@pytest.mark.parametrize('name', STUDIES)
def test_it_leaves_figure_tables_and_page(name, done):
    folder = results(done, name)
    left = {path.name for path in folder.iterdir() if path.is_file()}
    expected = {'figure.png', 'table.csv', 'table.md', 'report.html'}
    if name in WITHOUT_FIGURE:
        expected.remove('figure.png')
    assert left == expected
    assert {row['status'] for row in rows(folder)} == {'complete'}
    text = (folder / 'table.md').read_text()
    assert 'No result' not in text and 'nan' not in text
    page = (folder / 'report.html').read_text()
    assert ('<img' in page) == (name not in WITHOUT_FIGURE)


def test_each_stage_1_is_trained_once(done):
    """Of all runs of all studies, by the digest of what stage 1 depends on."""
    infos = [json.loads(p.read_text()) for p in done.glob('*/run.json')]
    digests = Counter(info['stage_1'] for info in infos)
    trained = Counter(
        info['stage_1'] for info in infos if 'stage_1_from' not in info
    )
    assert set(trained.values()) == {1} and trained.keys() == digests.keys()
    assert digests.most_common(1)[0][1] > 10, 'the same prompt, personalized'
    prompts = {info['stage_1']: set() for info in infos}
    for path in done.glob('*/run.json'):
        prompt = path.parent / 'prompts/global/adapter_model.safetensors'
        digest = json.loads(path.read_text())['stage_1']
        prompts[digest].add(prompt.read_bytes())
    assert {len(found) for found in prompts.values()} == {1}


def test_the_genie_is_at_least_as_good_for_every_client(done):
    """Of each client and split; of each example: genie_test.py."""
    from fedprompt_jax.report import genie
    from fedprompt_jax.report.run import Run

    compared = 0
    for row in rows(results(done, 'figure_19')):
        run = Run(done / row['point'])
        better = genie.rows(run.folder, run.rows, 'rouge_l')
        assert better
        last = max(r['epoch'] for r in run.rows)
        for r in better:
            same = [
                x['rouge_l']
                for x in run.rows
                if (x['client'], x['split']) == (r['client'], r['split'])
                and (
                    x['prompt'] == 'global'
                    or (x['prompt'] == 'personalized' and x['epoch'] == last)
                )
            ]
            assert len(same) == 2 and r['rouge_l'] >= max(same) - 1e-9
            compared += 1
    assert compared > 0


def test_baselines_are_in_the_table(done):
    text = (results(done, 'figure_3_center') / 'table.md').read_text()
    for name in ('no prompt', 'few-shot', 'copy', 'majority'):
        assert f'| {name} |' in text
    for name in ('rounds=0', 'algorithm=centralized'):
        assert name in text


def test_tuned_rates_are_those_of_the_best_run(done):
    folder = results(done, 'table_2')
    header, _, *lines = (folder / 'table.md').read_text().splitlines()
    assert header.startswith('| heterogeneity | algorithm | server | client |')
    best = max(rows(folder), key=lambda r: float(r['validation.rouge_l']))
    cells = [cell.strip() for cell in lines[0].strip('|').split('|')]
    assert float(cells[2]) == float(best['server.learning_rate'])
    assert float(cells[4].split()[0]) == pytest.approx(
        float(best['validation.rouge_l']), abs=0.006
    )


def test_what_is_drawn_again_has_the_same_bytes(done, commands):
    """Without a model: there is none."""
    names = ('figure_4', 'figure_19', 'table_1', 'table_3')
    before = {}
    for name in names:
        folder = results(done, name)
        files = [p for p in folder.iterdir() if p.is_file()]
        before |= {path: path.read_bytes() for path in files}
        for path in files:
            path.unlink()
    model = commands.folder / 'model'
    model.rename(commands.folder / 'away')
    try:
        commands.run(
            [
                commands.flags(name, 'all', '--redraw', *STUDIES[name])
                for name in names
            ]
        )
    finally:
        (commands.folder / 'away').rename(model)
    assert {path: path.read_bytes() for path in before} == before


def test_a_study_killed_in_and_between_runs_ends_the_same(done, commands):
    flags = commands.flags('figure_3_right', 'killed')
    folder = commands.folder / 'killed'

    def in_a_run() -> bool:
        return any(folder.glob('*/metrics.jsonl'))

    def after_a_run() -> bool:
        return any(
            'complete' in json.loads(path.read_text())
            for path in folder.glob('*/run.json')
        )

    for ready in (in_a_run, after_a_run):
        process = commands.start([flags])
        while not ready():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert '1 of 2 runs are complete' in commands.run([flags])
    name = 'figure_3_right'
    for file in ('table.csv', 'figure.png'):
        assert (results(folder, name) / file).read_bytes() == (
            results(done, name) / file
        ).read_bytes()


def test_a_plan_tells_what_is_reused_and_starts_nothing(done, commands):
    shutil.copytree(done, commands.folder / 'planned')

    def state():
        files = (commands.folder / 'planned').rglob('*')
        return {path: path.stat().st_mtime_ns for path in files}

    before = state()
    flags = HIGH, '--plan', '--chip=h100'
    text = commands.run(
        [
            commands.flags('figure_5', 'new', *flags),
            commands.flags('figure_5', 'planned', *flags),
        ]
    )
    assert not (commands.folder / 'new').exists()
    assert state() == before
    assert '4 runs, 0 complete, 3 with the stage 1 of another' in text
    assert '4 runs, 4 complete' in text and 'on 1 x h100' in text
