"""Fixtures that several files share."""

import gc
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data import sni_task
from fedprompt_jax.data.store import open_store
from fedprompt_jax.data.tokenizing import Source, Template
from fedprompt_jax.models import source
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from tests import plain, quick_compilation, tiny
from tests.parity import cases

LANGUAGES = ('Input', 'Output', 'Instruction')

quick_compilation.set_flags()
jax.config.update('jax_disable_most_optimizations', True)

gc.set_threshold(20_000, 20, 20)

# They come first, so that no process waits for one of them at the end.
LONGEST = (
    'main_test',
    'study_test',
    'peft_test',
    'distributed_test',
    'whole_run_test',
    'mesh_test',
    'models_test',
)


# Whole commands, run only where they are named: `make studies-check`.
WHERE_NAMED = ('studies_test', 'notebooks_test')


def pytest_collection_modifyitems(config, items):
    def is_left_out(item) -> bool:
        name = item.path.stem
        named = any(name in str(argument) for argument in config.args)
        return name in WHERE_NAMED and not named

    config.hook.pytest_deselected(items=list(filter(is_left_out, items)))
    items[:] = [item for item in items if not is_left_out(item)]
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope='module', autouse=True)
def little_to_collect():
    """Has the garbage collector skip what earlier files have left.

    That is a million objects of JAX's caches, whose inspection was a fifth of
    the suite's time.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='module', autouse=True)
def few_memory_maps():
    """Forgets compiled programs before the kernel's limit of maps (65,530).

    Each holds some, and XLA crashes where it gets no more.
    """
    yield
    maps = Path('/proc/self/maps')
    if maps.exists() and maps.read_bytes().count(b'\n') > 40_000:
        gc.unfreeze()
        jax.clear_caches()


@pytest.fixture(scope='session')
def lm(tmp_path_factory):
    """A tiny random LanguageModel: 2 layers, width 32."""
    folder = tmp_path_factory.mktemp('tiny')
    return source.load(tiny.make_checkpoint(folder), jnp.float32)


@pytest.fixture(scope='session')
def model(lm):
    """Its decoder with a soft prompt."""
    return TunedModel(Transformer(lm.config), Prompt(plain.P))


@pytest.fixture(scope='session')
def poisonous(tmp_path_factory):
    """(model, base) whose embedding of token 299 is NaN, not its logit."""
    folder = tmp_path_factory.mktemp('poisonous')
    tiny.make_checkpoint(folder, tied=False)
    lm = source.load(folder, jnp.float32)
    base = jax.tree.map(lambda x: x, lm.base)
    embedding = base['embed']['embedding'].at[299].set(jnp.nan)
    base['embed'] = {'embedding': embedding}
    return TunedModel(Transformer(lm.config), Prompt(plain.P)), base


@pytest.fixture(scope='session')
def smollm2_folder():
    """SmolLM2-135M-Instruct as a checkpoint folder, converted once (10 s)."""
    try:
        return source.resolve(cases.SMOLLM2, Path(cases.CACHE).expanduser())
    except ValueError as error:  # it says which package to install
        pytest.fail(str(error), pytrace=False)


def make_task(name='task1_rivers', count=12, **changes):
    """A task in SNI's schema with short ragged instances."""
    instances = [
        {
            'id': f'{name}-{i}',
            'input': f'what is the river {name[4]}{i}?' + ' the name' * (i % 4),
            'output': [f'river {i}', f'the {i} river'][: 1 + i % 2],
        }
        for i in range(count)
    ]
    empty = ('Source', 'URL', 'Reasoning', 'Domains', 'Contributors')
    raw: dict = {key: [] for key in empty}
    raw |= {f'{k}_language': ['English'] for k in LANGUAGES}
    raw |= {'Positive Examples': [], 'Negative Examples': []}
    raw |= {
        'Definition': ['Answer the question.'],
        'Categories': ['Question Answering'],
        'Instances': instances,
    }
    return sni_task.parse_task(name, raw | changes)


@pytest.fixture(scope='session')
def store(lm, tmp_path_factory):
    """A token store of two tasks, 12 and 7 instances."""
    tasks = [make_task(), make_task('task2_lakes', 7)]
    return open_store(
        Source('rivers', 'rivers', lambda: tasks),
        lm.tokenizer,
        Template('{input}', '\n', 64, 16),
        tmp_path_factory.mktemp('store'),
    )
