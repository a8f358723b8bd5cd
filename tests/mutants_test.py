"""The tables of mutations follow the code; see tests/mutants."""

from collections import Counter
from pathlib import Path
import re

import pytest

from tests.mutants import tables
from tests.mutants.mutation import Mutation, mutated

ROOT = Path(__file__).parents[1]
TABLES = tables.read()
MUTATIONS = [m for table in TABLES.values() for m in table]
# Whatever a user's numbers depend on; the tasks of the corpus are checked as
# text, in corpus_test.py.
ROOMS = (
    'data', 'bank', 'federated', 'algorithms', 'personalization', 'peft',
    'models', 'evaluation', 'report', 'experiment', 'planning', 'sweep',
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
    changes = Counter((m.file, m.old, m.new) for m in MUTATIONS)
    assert [change for change, count in changes.items() if count > 1] == []


def test_at_most_one_in_twenty_is_harmless():
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
