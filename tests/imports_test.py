"""The order of the rooms: imports go down, never up and never in a circle."""

import subprocess
import sys

import pytest

from docs.module_map import MODULES, PACKAGE, ROOT, imports

ROOMS = (
    'data', 'tradeoff', 'models', 'bank', 'peft', 'evaluation', 'federated',
    'algorithms', 'personalization', 'report', 'experiment', 'planning',
    'study',
)  # fmt: skip
# Nothing in the package imports them, but a study's plan is one of its runs.
ROOFS = ('planning', 'study')
# What every room may use.
BELOW = (
    'fedprompt_jax.digests', 'fedprompt_jax.files', 'fedprompt_jax.intact',
    'fedprompt_jax.mesh', 'fedprompt_jax.rules',
)  # fmt: skip
SLOW = ('jax', 'flax', 'optax', 'transformers', 'rouge_score', 'datasets')


def room(module):
    parts = module.split('.')
    in_room = parts[0] == PACKAGE and len(parts) > 1 and parts[1] in ROOMS
    return ROOMS.index(parts[1]) if in_room else None


def test_the_rooms_are_those_of_the_design():
    folders = {
        p.name
        for p in (ROOT / PACKAGE).iterdir()
        if (p / '__init__.py').exists()
    }
    assert folders == set(ROOMS)


@pytest.mark.parametrize('module', MODULES)
def test_no_room_imports_one_above_it(module):
    here = room(module)
    for name in imports(module):
        there = room(name)
        if None not in (here, there):
            assert there <= here, f'{module} imports {name}'


@pytest.mark.parametrize('roof', ROOFS)
def test_no_room_imports_a_roof(roof):
    for module in MODULES:
        if room(module) not in (ROOMS.index(roof), ROOMS.index('study')):
            for name in imports(module):
                assert room(name) != ROOMS.index(roof), f'{module}: {name}'


def test_evaluation_needs_nothing_of_federated():
    assert ROOMS.index('evaluation') < ROOMS.index('federated')


@pytest.mark.parametrize('module', [m for m in MODULES if room(m) == 0])
def test_data_imports_no_accelerator_library(module):
    for name in imports(module):
        assert name.split('.')[0] not in ('jax', 'flax', 'optax'), name
    for name in imports(module, top_level=True):
        assert name.split('.')[0] not in SLOW, name


@pytest.mark.parametrize(
    'module', [m for m in MODULES if room(m) == ROOMS.index('tradeoff')]
)
def test_statistics_of_the_tradeoff_need_numpy_alone(module):
    for name in imports(module):
        assert name.startswith(f'{PACKAGE}.tradeoff') or name.split('.')[0] in (
            'collections',
            'math',
            'typing',
            'numpy',
            PACKAGE,
        ), name
        assert room(name) in (None, ROOMS.index('tradeoff')), name


def test_no_room_imports_what_stands_above_all_rooms():
    """configs, tests, main, and commands such as fedprompt_jax.stats."""
    for module in MODULES:
        for name in imports(module):
            first = name.split('.')[0]
            assert first not in ('configs', 'tests', 'main')
            if first == PACKAGE and name not in (PACKAGE, *BELOW):
                assert room(name) is not None, f'{module} imports {name}'


@pytest.mark.parametrize('module', BELOW)
def test_what_all_rooms_use_uses_none(module):
    ours = {name for name in imports(module) if name.startswith(PACKAGE)}
    assert ours <= {PACKAGE, *BELOW}


def test_no_module_imports_itself_through_others():
    graph = {m: [n for n in imports(m) if n in MODULES] for m in MODULES}
    done, path = set(), []

    def visit(module):
        assert module not in path, ' > '.join([*path, module])
        if module not in done:
            path.append(module)
            for other in graph[module]:
                visit(other)
            done.add(path.pop())

    for module in graph:
        visit(module)


def test_faults_of_a_config_are_told_before_anything_slow_is_loaded():
    script = (
        'import sys; from fedprompt_jax.data import store, packing, sampling; '
        'assert "jax" not in sys.modules; '
        'from fedprompt_jax.experiment import run; '
        'slow = {"transformers", "matplotlib", "rouge_score", "datasets"}; '
        'assert not slow & set(sys.modules), slow & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-c', script], cwd=ROOT, check=True)
