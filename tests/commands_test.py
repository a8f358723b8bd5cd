"""main.py and the study's command on stand-ins: flags, folders, exit codes."""

import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[1]
CONFIG = f'--config={ROOT}/configs/fedavg_adam.py'
SEEDS = f'--study={ROOT}/configs/studies/seeds.py'
MAIN = """
import main as program
from fedprompt_jax.experiment import run as part
name = 'main'
"""
STUDY = """
from fedprompt_jax.study import __main__ as program
part, name = program.runs, 'run_all'
"""
# It imports once, and starts each case as a fork of itself.
CASES = """
import json, os, sys
from absl import app
from fedprompt_jax.experiment import command_line, preemption

def start(flags, then):
    def stand_in(what, *args):
        print(getattr(what, 'seed', len(what)), *args)
        exec(then)
        return 'the table'

    setattr(part, name, stand_in)
    sys.argv = [program.__name__, *flags]  # whose flags --help lists
    app.run(program.main, sys.argv, flags_parser=command_line.parse)

codes = []
for number, case in enumerate(json.load(sys.stdin)):
    if not os.fork():
        for stream in 1, 2:
            place = os.open(f'{number}.{stream}', os.O_CREAT | os.O_WRONLY)
            os.dup2(place, stream)
        start(*case)
    codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
print(json.dumps(codes))
"""
ENDS = {
    "raise preemption.stopped('round', 3)": (75, 'stopped by SIGTERM'),
    "raise ValueError('no data')": (1, 'error: no data'),
    "raise OSError('no disk')": (1, 'error: no disk'),
    "raise FloatingPointError('nan')": (1, 'error: nan'),
}
THREE = '--coordinator=a:1', '--num_processes=3', '--process_id=2'
TO_MAIN = {
    'plain': ['--cache_dir=/c', '--config.seed=7'],
    'several': ['--workdir=/w', *THREE],
    'help': ['--help'],
}
TO_STUDY = {
    'plain': ['--cache_dir=/c', '--together=5'],
    'help': ['--help'],
    'no model': [f'--config.model.source={ROOT}/configs'],
    'commands, together': ['--commands=shell', '--together=2'],
    'commands, redraw': ['--commands=shell', '--redraw'],
    'no folder': ['--redraw', '--workdir=/nowhere'],
    'claims, plan': ['--claims', '--plan'],
    'no claims': ['--claims'],
}


def ended(program: str, folder: Path, cases: dict) -> dict:
    """(exit code, stdout, stderr) of each case: its flags, then its code."""
    done = subprocess.run(
        [sys.executable, '-c', program + CASES],
        input=json.dumps(list(cases.values())),
        cwd=folder,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    texts = [
        [(folder / f'{number}.{stream}').read_text() for stream in (1, 2)]
        for number in range(len(cases))
    ]
    codes = json.loads(done.stdout)
    found = zip(cases, codes, texts, strict=True)
    return {name: (code, *both) for name, code, both in found}


@pytest.fixture(scope='module')
def from_main(tmp_path_factory):
    cases = {k: ([CONFIG, *v], 'pass') for k, v in TO_MAIN.items()}
    cases |= {then: ([CONFIG], then) for then in ENDS}
    cases['ours'] = [CONFIG], "raise RuntimeError('ours')"
    return ended(MAIN, tmp_path_factory.mktemp('main'), cases)


@pytest.fixture(scope='module')
def from_study(tmp_path_factory):
    flags = [CONFIG, SEEDS]
    cases = {k: ([*flags, *v], 'pass') for k, v in TO_STUDY.items()}
    cases |= {then: (flags, then) for then in ENDS}
    return ended(STUDY, tmp_path_factory.mktemp('study'), cases)


def test_main_hands_its_flags_on(from_main):
    code, out, err = from_main['plain']
    assert code == 0, err
    assert out.split() == ['7', 'runs/fedavg_adam-quickstart', '/c', 'None']
    _, out, _ = from_main['several']
    _, workdir, _, processes = out.split(maxsplit=3)
    assert workdir == '/w'
    for text in ("'a:1'", 'num_processes=3', 'process_id=2'):
        assert text in processes


@pytest.mark.parametrize('then', ENDS)
@pytest.mark.parametrize('program', ['main', 'study'])
def test_how_a_command_ends(program, then, request):
    """Launchers start a run again where it ends with 75, and else do not."""
    if program == 'study' and 'FloatingPoint' in then:
        return  # it goes on with the next run
    code, _, err = request.getfixturevalue(f'from_{program}')[then]
    assert (code, ENDS[then][1] in err) == (ENDS[then][0], True), err
    assert 'Traceback' not in err


def test_a_fault_of_ours_shows_where_it_is(from_main):
    code, _, err = from_main['ours']
    assert code == 1 and 'Traceback' in err


@pytest.mark.parametrize('program', ['main', 'study'])
def test_the_help_has_the_flags_that_commands_share(program, request):
    _, out, _ = request.getfixturevalue(f'from_{program}')['help']
    for flag in ('--config:', '--cache_dir:', '--workdir:'):
        assert flag in out


def test_the_study_hands_its_flags_on(from_study):
    code, out, err = from_study['plain']
    assert code == 0, err
    first, table, *_ = out.splitlines()
    folder = 'studies/fedavg_adam-quickstart'
    assert first.startswith(f'5 {folder} /c 5 Study(folder=')
    assert f"PosixPath('{folder}/results/seeds')" in first
    assert table == 'the table'


@pytest.mark.parametrize(
    ('case', 'told'),
    [
        ('no model', f"model.source='{ROOT}/configs'"),
        ('commands, together', 'leave out --together'),
        ('commands, redraw', 'leave out --together'),
        ('claims, plan', 'leave out --redraw, --plan'),
        ('no claims', 'seeds.py has no claims(results); with --claims give'),
        ('no folder', '/nowhere has no run of this study; run it without'),
    ],
)
def test_faults_of_the_study_are_told(case, told, from_study):
    code, _, err = from_study[case]
    assert code == 1 and told in err and 'Traceback' not in err
