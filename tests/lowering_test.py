"""Every program of a run, lowered for accelerators that are not here."""

import contextlib
import importlib
import inspect
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P
import pytest

from fedprompt_jax import algorithms
from fedprompt_jax.evaluation import causal, scoring
from fedprompt_jax.federated import algorithm as algorithm_lib
from fedprompt_jax.federated import client, packed
from fedprompt_jax.planning import laws, plan, programs
from tests import tiny_families
from tests.exhaustive import beyond, exhaustive
from tests.tiny_run import Runs

PLATFORMS = ('cuda', 'tpu', 'rocm')
# A decoder, an encoder, and a decoder that reads an encoder's output.
FAMILIES = ('llama_linear', 'roberta', 't5')
KINDS = ('prompt', 'prefix', 'lora')
SUITE = [
    ('fedavg', 'llama_linear', 'lora'),
    ('fedavg', 't5', 'prefix'),
    ('fedsp', 'gpt2', 'prefix'),
]
OTHERS = sorted(
    {path.stem for path in Path(algorithms.__file__).parent.glob('*.py')}
    - {'__init__', 'fedavg', 'fedsp'}
)
CASES = [
    *(('fedavg', family, kind) for family in FAMILIES for kind in KINDS),
    *((name, 'llama_linear', 'prefix') for name in OTHERS),
    ('fedavg', 'llama_linear', 'full'),
    ('fedavg', 'llama_linear', 'idpg'),
    SUITE[-1],
]
TRAINING = {'client gradient', 'client step', 'server step'}
SCORING = {'prefill', 'decoding', 'scoring'}
TINY = {
    'data.path': '/absent',
    'data.max_query': 30,
    'data.max_target': 8,
    'clients_per_round': 3,
    'batch_size': 2,
    'personalization.clients': 2,
    'evaluation.batch_size': 8,
    'evaluation.max_new_tokens': 4,
    'packing.max_tokens': 256,
    'mesh.data': 2,
    'mesh.model': 2,
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('lowered')


def config_of(folder, algorithm, family, kind, **changes):
    """A tiny config, whose data are not there."""
    name = 'configs/fedavg_adam.py'
    if algorithm != 'fedavg':
        name = algorithms.config_file(algorithm)
    config = importlib.import_module(name[:-3].replace('/', '.')).get_config()
    model = folder / family
    if not model.exists():
        tiny_families.make_checkpoint(model, family)
    config.update_from_flattened_dict(
        TINY | {'model.source': str(model), 'peft': kind} | changes
    )
    if kind == 'full':
        config.clients_per_round = config.personalization.clients = 1
    return config


def programs_of(config, folder):
    """Those of a run on a mesh of four chips of no machine."""
    sizes = config.mesh.data, config.mesh.model
    mesh = AbstractMesh(
        sizes, ('data', 'model'), axis_types=(AxisType.Auto,) * 2
    )
    inputs = plan.read(config, (12, 3), folder / 'cache')
    return programs.of_run(config, inputs, mesh)


@pytest.mark.parametrize(('algorithm', 'family', 'kind'), beyond(SUITE, CASES))
def test_every_program_is_lowered_and_holds_the_laws(
    folder, algorithm, family, kind
):
    config = config_of(folder, algorithm, family, kind)
    made = programs_of(config, folder)
    assert 'client gradient' in made and 'scoring' in made
    for name, program in made.items():
        for platform in PLATFORMS:
            lowered = program.lower(platform)
            assert [*laws.lowered(lowered)] == [], (name, platform)


def test_the_programs_are_those_of_the_parts_of_a_run(folder):
    def names(algorithm, family, kind='prefix', **changes):
        config = config_of(folder, algorithm, family, kind, **changes)
        return set(programs_of(config, folder))

    assert names('fedavg', 'llama_linear') == (
        TRAINING | SCORING | {'prompt cache'}
    )
    # The cache of an encoder's output is of the text, not of the prompt.
    assert names('fedavg', 't5') == TRAINING | SCORING
    assert names('fedavg', 'roberta') == TRAINING | {'scoring'}
    of_model = {'client gradient', 'server step', 'scoring'}
    assert names('fedsgd', 'roberta') == of_model  # clients send gradients
    assert names('local', 'roberta') == TRAINING - {'server step'} | {'scoring'}
    # A client's own prompt is pulled, with an optimizer of its own.
    assert names('ditto', 'roberta') == (
        TRAINING | {'scoring', 'client step 2'}
    )
    teacher = {'distillation states', 'distillation'}
    of_fedsp = TRAINING | SCORING | teacher | {
        'prompt cache', 'client gradient 2', 'client step 2', 'server gradient',
    }  # fmt: skip
    assert names('fedsp', 'gpt2') == of_fedsp
    full = {'fedsp.distill_objective': 'full', 'fedsp.turn': 'joint'}
    assert names('fedsp', 'gpt2', **full) == (
        of_fedsp - {'client gradient 2', 'client step 2'}
    ) | {'distillation logits'}
    assert not teacher & names('fedsp', 'gpt2', **{'fedsp.distill_steps': 0})


def test_a_client_of_fedsp_computes_its_small_model(folder):
    config = config_of(folder, 'fedsp', 'gpt2', 'prefix')
    made = programs_of(config, folder)
    layers = {}
    for name in ('client gradient', 'client gradient 2', 'server gradient'):
        model, base, *_ = made[name].args
        kernel = base['layers']['mlp']['up']['kernel']
        layers[name] = model.transformer.config.cell, kernel.shape[0]
    assert layers == {
        'client gradient': (1, 1),
        'client gradient 2': (1, 1),
        'server gradient': (0, tiny_families.LAYERS),
    }


def test_what_lies_where(folder):
    """Rows and queries over `data`, the base over both, the bank whole."""
    case = folder, 'fedavg', 'llama_linear', 'prompt'
    gathered = config_of(*case, **{'mesh.fsdp': True})
    made = programs_of(gathered, folder)
    model, base, bank, grid = made['client gradient'].args
    assert model.transformer.gather is not None
    kernel = base['layers']['mlp']['up']['kernel']
    assert kernel.sharding.spec == P(None, 'data', 'model')
    assert bank['prompt'].shape[0] == 3
    assert bank['prompt'].sharding.is_fully_replicated
    assert {x.sharding.spec[0] for x in grid} == {'data'}
    _, _, of_queries, (keys, _), tokens, *_ = made['decoding'].args
    assert of_queries['prompt'].shape[0] == tokens.shape[0]
    assert of_queries['prompt'].sharding.spec == P('data')
    assert keys.sharding.spec == P(None, 'data')
    plain = programs_of(config_of(*case), folder)['client gradient'].args
    assert plain[0].transformer.gather is None
    kernel = plain[1]['layers']['mlp']['up']['kernel']
    assert kernel.sharding.spec == P(None, None, 'model')


def test_the_largest_grid_is_compiled(folder):
    config = config_of(folder, 'fedavg', 'roberta', 'prompt')
    inputs = plan.read(config, (12, 3), folder / 'cache')
    made = programs_of(config, folder)
    for name, packer in (
        ('client gradient', inputs.workload.training),
        ('scoring', inputs.workload.evaluation),
    ):
        rows, length, targets = made[name].size
        grid = made[name].args[-1]
        assert grid.tokens.shape == (rows, length)
        assert grid.target_label.shape == (rows, targets)
        sizes = [n * s.length for s in packer.shapes for n in s.rows]
        assert rows * length == max(sizes) > min(sizes) // 2


def test_products_of_f32_are_exact_where_a_run_s_are(folder):
    found = {}
    for dtype in ('float32', 'bfloat16'):
        config = config_of(
            folder, 'fedavg', 'roberta', 'prompt', **{'model.dtype': dtype}
        )
        program = programs_of(config, folder)['scoring']
        found[dtype] = 'HIGHEST' in program.lower('tpu').as_text()
    assert found == {'float32': True, 'bfloat16': False}


def test_the_reference_simulation_has_no_programs(folder):
    config = config_of(folder, 'fedavg', 'roberta', 'prompt')
    config.simulation = 'vmap'
    with pytest.raises(ValueError, match="simulation='vmap' must be 'packed'"):
        programs_of(config, folder)


# Of these arguments the number of rows, tokens and targets follows the batch.
VARYING = {'grid', 'past', 'tokens', 'length'}
# Functions of a module: optimizers are not equal, but their states say enough.
LEFT_OUT = {'tx', 'eos_ids', 'max_new_tokens'}
CALLED = (
    (packed, 'grid_gradients'),
    (client, 'cohort_step'),
    (algorithm_lib, 'server_update'),
    (scoring, 'grid_losses'),
    (causal, 'prompt_cache'),
    (causal, 'greedy'),
)


def signature(function, args) -> dict:
    """Static arguments, and the dtypes and shapes of arrays, by name."""
    found = {}
    for name, arg in zip(
        inspect.signature(function).parameters, args, strict=False
    ):
        if name in LEFT_OUT:
            continue
        if name == 'model':
            found[name] = arg
            continue
        leaves, tree = jax.tree.flatten(arg)
        # Each query of a batch is an owner there.
        varies = name in VARYING or (function.__name__, name) == (
            'greedy',
            'bank',
        )
        found[name] = (
            tree,
            [
                (jnp.dtype(x.dtype), x.ndim if varies else x.shape)
                for x in leaves
            ],
        )
    return found


@exhaustive
def test_a_run_calls_these_functions_with_these_arguments(folder):
    """A tiny run, whose calls are written down."""
    runs, calls = Runs(folder / 'run'), []

    def watched(function):
        def call(*args):
            calls.append((function, signature(function, args)))
            return function(*args)

        return call

    changes = {
        'rounds': 1, 'validation__every': 0, 'peft': 'lora',
        'clients_per_round': 3,  # and two that are personalized
    }  # fmt: skip
    with contextlib.ExitStack() as watching:
        for module, name in CALLED:
            replaced = watched(getattr(module, name))
            watching.enter_context(mock.patch.object(module, name, replaced))
        runs.start(folder / 'watched', **changes)
    config = runs.config(**changes)
    inputs = plan.read(config, (12, 3), folder / 'run' / 'cache')
    mesh = AbstractMesh((1, 1), ('data', 'model'))
    made = programs.of_run(config, inputs, mesh)
    assert {p.call for p in made.values()} == {call for call, _ in calls}
    for name, program in made.items():
        asked = signature(program.call, program.args)
        assert (program.call, asked) in calls, name
