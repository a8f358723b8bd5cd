"""The tables of mutations follow the code; see tests/mutants."""

from collections import Counter, defaultdict
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

from tests.mutants import tables
from tests.mutants.mutation import Mutation, mutated

ROOT = Path(__file__).parents[1]
TABLES = tables.read()
MUTATIONS = [m for table in TABLES.values() for m in table]
# Whatever a user's numbers depend on; the tasks of the corpus are checked as
# text, in corpus_test.py.
ROOMS = (
    'data', 'tradeoff', 'bank', 'federated', 'algorithms', 'personalization',
    'peft', 'models', 'evaluation', 'report', 'experiment', 'planning', 'study',
)  # fmt: skip
NO_NUMBERS = ('data/corpus/tasks/', 'data/corpus/words/')


def test_every_file_has_a_mutation():
    package = ROOT / 'fedprompt_jax'
    files = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (package / room).rglob('*.py')
        if len(path.read_text('utf-8').splitlines()) > 6
        and not str(path.relative_to(package)).startswith(NO_NUMBERS)
    }
    assert files - {m.file for m in MUTATIONS} == set()


def test_names_tell_mutations_apart():
    names = Counter([*TABLES, *(m.name for m in MUTATIONS)])
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_mutations_are_the_same_mistake():
    same = defaultdict(list)
    for m in MUTATIONS:
        same[m.file, mutated(m, ROOT)].append(m.name)
    assert [names for names in same.values() if len(names) > 1] == []


def test_a_mistake_names_nothing_that_does_not_exist(tmp_path):
    """Else the name is what a test fails by, and not the mistake."""
    for m in MUTATIONS:
        if m.file.endswith('.py'):
            (tmp_path / f'{m.name}.py').write_text(mutated(m, ROOT), 'utf-8')
    done = subprocess.run(
        [
            sys.executable, '-m', 'ruff', 'check', '--isolated', '--no-cache',
            '--select=F821', '--output-format=concise',
            '--config=builtins=["__path__"]', tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_150_and_at_most_one_in_twenty_is_harmless():
    harmless = [m for m in MUTATIONS if m.harmless]
    assert len(MUTATIONS) >= 150
    assert len(harmless) <= len(MUTATIONS) / 20


@pytest.mark.parametrize('table', TABLES.values(), ids=TABLES)
def test_the_code_has_what_a_table_changes(table):
    for mutation in table:
        compile(mutated(mutation, ROOT), mutation.file, 'exec')


@pytest.mark.parametrize('table', TABLES.values(), ids=TABLES)
def test_the_tests_of_a_table_are_there(table):
    for mutation in table:
        assert mutation.tests, mutation.name
        for test in mutation.tests:
            file, _, function = test.partition('::')
            text = (ROOT / file).read_text('utf-8')
            name = re.escape(function.partition('[')[0])
            assert not name or re.search(rf'^def {name}\(', text, re.M), test


def test_a_mutation_whose_text_is_gone_is_an_error(tmp_path):
    def mistake(old, new):
        return Mutation('a-b', 'f.py', old, new, 'why', ('tests/x_test.py',))

    (tmp_path / 'f.py').write_text('x = 1 + 1\ny = 2\n')
    assert mutated(mistake('y = 2', 'y = 3'), tmp_path) == 'x = 1 + 1\ny = 3\n'
    for old, count in ('z', 0), ('1', 2):
        with pytest.raises(ValueError, match=f'a-b: f.py has .* {count} times'):
            mutated(mistake(old, 'w'), tmp_path)
    with pytest.raises(ValueError, match='the new text is the old one'):
        mutated(mistake('y', 'y'), tmp_path)


SOURCE = 'import os\n\n\ndef add(a, b):\n    return a + b\n'
TESTS = """from f import add


def test_sum():
    assert add(1, 2) == 3


def test_nothing():
    assert True
"""
SUM, NOTHING = 'tests/x_test.py::test_sum', 'tests/x_test.py::test_nothing'


def test_a_mistake_is_caught_by_a_test_that_fails_and_by_nothing_else(tmp_path):
    """A try that ends in any other way says nothing about the tests."""
    expected = {
        ('a + b', 'a - b', SUM): 'caught',
        ('a + b', 'a - b', NOTHING): 'survived',
        ('a + b', 'b + a', SUM): 'survived',
        ('a + b', 'a + c', SUM): 'error',  # NameError
        ('import os', 'import no_such_module', SUM): 'error',
        ('a + b', 'a - b', 'tests/x_test.py::test_gone'): 'error',
        ('return a + b', 'os.kill(os.getpid(), 9)', SUM): 'error',
        ('a * b', 'a - b', SUM): 'error',  # the text is not there
    }
    (tmp_path / 'f.py').write_text(SOURCE)
    tests = tmp_path / 'tests'
    shutil.copytree(ROOT / 'tests' / 'mutants', tests / 'mutants')
    for name in ('__init__.py', 'quick_compilation.py'):
        shutil.copy(ROOT / 'tests' / name, tests)
    (tests / 'x_test.py').write_text(TESTS)
    jobs = [
        Mutation(f'{i}', 'f.py', old, new, 'why', (test,))._asdict()
        for i, (old, new, test) in enumerate(expected)
    ]
    start = 'from tests.mutants import worker as w; w.LIBRARIES = (); w.main()'
    done = subprocess.run(
        [sys.executable, '-c', start],
        cwd=tmp_path,
        env=os.environ
        | {'PYTHONPATH': str(tmp_path), 'PYTHONDONTWRITEBYTECODE': '1'},
        input=''.join(json.dumps(job) + '\n' for job in jobs),
        capture_output=True,
        text=True,
        check=True,
    )
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [x['verdict'] for x in outcomes] == list(expected.values())
    assert outcomes[0]['by'] == f'{SUM} (AssertionError)'
    assert (tmp_path / 'f.py').read_text() == SOURCE
