"""Whole runs of other algorithms, simulations and kinds of parameters."""

import pytest

from tests import main_test
from tests.exhaustive import beyond, exhaustive
from tests.tiny_run import Runs

LONGER = {'rounds': 4, 'clients_per_round': 3, 'local_steps': 2}
TRAINING = {'validation__every': 0, 'personalization__epochs': 0}


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> Runs:
    return Runs(tmp_path_factory.mktemp('runs'))


def train_losses(path) -> list[float]:
    lines = main_test.metrics(path)
    return [line['loss'] for line in lines if line['stage'] == 'train']


@exhaustive
def test_the_vmapped_simulation_gives_the_same_run(runs):
    packed, vmapped = runs.folder / 'packed', runs.folder / 'vmapped'
    runs.start(packed, **LONGER)
    runs.start(vmapped, **LONGER, simulation='vmap')
    pairs = zip(
        main_test.metrics(packed), main_test.metrics(vmapped), strict=True
    )
    for one, other in pairs:
        assert one.keys() == other.keys()
        if one['stage'] == 'train':
            assert one['loss'] == pytest.approx(other['loss'], rel=1e-3)


@pytest.mark.parametrize(
    ('algorithm', 'changes'),
    [
        ('fedsgd', {'server__learning_rate': 0.1}),
        ('centralized', {'clients_per_round': 1, 'local_steps': 1}),
    ],
)
def test_other_algorithms_learn(runs, algorithm, changes):
    path = runs.folder / algorithm
    runs.start(path, **LONGER | TRAINING | changes, algorithm=algorithm)
    losses = train_losses(path)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ('changes', 'left'),
    beyond(
        [
            ({'peft': 'lora', 'lora__rank': 2}, 'adapter_model.safetensors'),
        ],
        [
            ({'peft': 'lora', 'lora__rank': 2}, 'adapter_model.safetensors'),
            # PEFT has none of these, and no prefix in some layers.
            ({'peft': 'adapter'}, 'params.safetensors'),
            ({'peft': 'lpt'}, 'params.safetensors'),
            ({'peft': 'idpg'}, 'params.safetensors'),
            ({'peft': 'attempt'}, 'params.safetensors'),
            ({'peft': 'prefix', 'prefix__layers': (1,)}, 'params.safetensors'),
        ],
    ),
)
def test_other_kinds_of_parameters_learn(runs, changes, left):
    path = runs.folder / changes['peft']
    runs.start(path, **LONGER | TRAINING | changes)
    assert (path / 'prompts' / 'global' / left).exists()
    losses = train_losses(path)
    assert losses[-1] < losses[0]
