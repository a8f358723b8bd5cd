"""What is planned is what will be: bytes, operations, and the command line."""

import json
import math
from pathlib import Path
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients, grid_losses
from fedprompt_jax.data import shapes
from fedprompt_jax.data.examples import token_weights
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.mesh import Gather, cut, make_mesh
from fedprompt_jax.models import source
from fedprompt_jax.models.sizes import base_leaves, block_params
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from fedprompt_jax.planning import chips, cost, plan, workload
from tests import main_test, plain, tiny, tiny_families
from tests.exhaustive import exhaustive
from tests.tiny_run import Runs

ROOT = Path(__file__).parents[1]
FORMS = (
    'plain', 'remat', 'gathered', 'remat, gathered', 'int8', 'gathered, int8',
    'mlp', 'gathered, mlp',
)  # fmt: skip
CHIP = chips.Chip(1e9, {'float32': 1e9, 'bfloat16': 4e9}, 1e9, 0.5)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Of a model of six layers."""
    return tiny.make_checkpoint(
        tmp_path_factory.mktemp('planned'),
        width=128,
        num_layers=6,
        num_heads=8,
        mlp_width=512,
    )


@pytest.fixture(scope='module')
def sizes(folder):
    return source.read_config(folder)


@pytest.fixture(scope='module')
def compiled(folder):
    """sizes, and the compiled loss and gradients of a grid of 8 x 128."""
    lm = source.load(folder, jnp.float32)
    quantized = source.load(folder, jnp.float32, quantization='int8')
    rng = np.random.default_rng(0)
    bank = plain.random_bank(rng, 4, length=4, width=128)
    examples = plain.random_examples(rng, (20, 20, 20, 20))
    weights = token_weights(examples, 'sequence')
    programs = {}
    gather = Gather(make_mesh(1, 1))
    for form in FORMS:
        transformer = Transformer(
            lm.config,
            remat=form.startswith('remat'),
            gather=gather if 'gathered' in form else None,
            remat_mlp='mlp' in form,
        )
        model = TunedModel(transformer, Prompt(4))
        packer = model.packer(Shape(128, 64, (8,)))
        grid, *_ = packer.pack(examples, weights)
        base = quantized.base if form.endswith('int8') else lm.base
        args = model, base, bank, grid
        if form == 'plain':
            programs['losses'] = grid_losses.lower(*args).compile()
        programs[form] = grid_gradients.lower(*args).compile()
    return lm.config, programs


def test_operations_are_those_that_xla_counts(compiled):
    """But for what lies between products: a tenth at this tiny width."""
    sizes, programs = compiled
    counted = programs['losses'].cost_analysis()['flops']
    # XLA counts a loop's body once; the layers are a loop.
    layers = cost.forward(sizes, 8, 128, 0).flops
    head = cost.forward(sizes, 8, 128, 64).flops - layers
    planned = layers / sizes.num_layers + head
    assert planned == pytest.approx(counted, rel=0.15)


@pytest.mark.parametrize('form', FORMS)
def test_what_the_backward_pass_keeps_is_what_xla_allocates(compiled, form):
    sizes, programs = compiled
    remat, mlp = form.startswith('remat'), 'mlp' in form
    allocated = programs[form].memory_analysis().temp_size_in_bytes
    planned = cost.backward_bytes(
        cost.saved_bytes(sizes, 8, 128, 64, 'float32', remat, remat_mlp=mlp),
        cost.layer_bytes(sizes, 8, 128, 'float32', remat, remat_mlp=mlp),
        cost.score_bytes(sizes, 8, 128, 'float32'),
        cost.logits_bytes(sizes, 8, 64, {'data': 1, 'model': 1}),
    )
    assert planned == pytest.approx(allocated, rel=0.35)


@pytest.mark.parametrize('form', ['plain', 'gathered'])
def test_the_backward_pass_keeps_no_kernel_of_floats(compiled, form):
    sizes, programs = compiled
    int8 = 'int8' if form == 'plain' else f'{form}, int8'
    plain, int8 = (
        programs[name].memory_analysis().temp_size_in_bytes
        for name in (form, int8)
    )
    layer = 4 * block_params(sizes) / sizes.num_layers
    assert int8 < plain + 2 * layer


@pytest.mark.parametrize('form', ['plain', 'remat', 'mlp'])
def test_so_are_those_of_a_gradient(compiled, form):
    sizes, programs = compiled
    counted = programs[form].cost_analysis()['flops']
    how = {'remat': form == 'remat', 'remat_mlp': form == 'mlp'}
    layers = cost.gradient(sizes, 8, 128, 0, **how).flops
    head = cost.gradient(sizes, 8, 128, 64, False).flops
    head -= cost.gradient(sizes, 8, 128, 0, False).flops
    planned = layers / sizes.num_layers + head
    assert planned == pytest.approx(counted, rel=0.15)


def test_a_whole_model_s_products_go_back_twice(sizes):
    once = cost.forward(sizes, 8, 128, 64)
    whole = cost.gradient(sizes, 8, 128, 64, whole=True)
    assert whole.products == 3 * once.products
    assert whole.attention == 3.5 * once.attention


def test_seconds_fall_with_chips_and_rates(sizes):
    work = cost.forward(sizes, 8, 128, 64)
    alone = cost.seconds(work, CHIP, 'float32')
    assert alone > work.flops / 0.5e9  # attention is slower than products
    assert cost.seconds(work, CHIP, 'float32', 4) == alone / 4
    assert cost.seconds(work, CHIP, 'bfloat16') == alone / 4


@pytest.mark.parametrize('quantization', ['', 'int8'])
@pytest.mark.parametrize('fsdp', [False, True])
def test_the_base_s_bytes_are_those_of_its_shards(sizes, fsdp, quantization):
    mesh = jax.sharding.AbstractMesh((4, 2), ('data', 'model'))
    total = 0
    leaves = base_leaves(sizes, 'bfloat16', quantization)
    for path, leaf in leaves.items():
        spec = cut(path, leaf.shape, dict(mesh.shape), fsdp)
        sharding = jax.sharding.NamedSharding(mesh, spec)
        total += leaf.dtype.itemsize * math.prod(
            sharding.shard_shape(leaf.shape)
        )
    planned = cost.base_bytes(leaves, dict(mesh.shape), fsdp)
    assert planned == total


def test_fsdp_gathers_the_tables_and_two_layers(sizes):
    norms = 2 * sizes.width
    layer = block_params(sizes) / sizes.num_layers - norms
    assert sizes.tied_embeddings
    table = sizes.vocab_size * sizes.width
    mesh = {'data': 4, 'model': 2}
    leaves = base_leaves(sizes, 'bfloat16')
    planned = cost.gathered_bytes(leaves, mesh)
    assert planned == 2 * (table + 2 * layer) / 2
    # A scale is not cut over `data`, and so is never gathered.
    leaves = base_leaves(sizes, 'bfloat16', 'int8')
    planned = cost.gathered_bytes(leaves, mesh)
    assert planned == (2 * table + 2 * layer) / 2


def test_chips_that_do_not_divide_a_layer_do_the_same(sizes):
    assert cost.working(sizes, {'data': 4, 'model': 2}) == 8
    assert cost.working(sizes, {'data': 4, 'model': 3}) == 4


FEW = {
    'clients_per_round': 4,
    'local_steps': 2,
    'validation.clients': 2,
    'personalization.clients': 2,
    'personalization.global_examples': 64,
}


def small_paper():
    """The paper's model, and few examples: their packing takes the time."""
    config = fedavg_adam.get_config('paper')
    config.update_from_flattened_dict(FEW)
    return config


def test_activations_are_shared_where_layers_are(tmp_path):
    config = small_paper()
    config.model.attention, config.model.remat = 'xla', True
    found = {}
    for model in (1, 2, 3):
        config.mesh.data, config.mesh.model = 2, model
        made = plan.plan(config, 'v5p', 2 * model, (61, 12), tmp_path)
        parts = made['memory']
        names = 'activations', 'attention scores', 'a layer at work'
        found[model] = [parts[name] for name in names]
    assert found[3] == found[1]
    (kept, scores, work), (kept_by_two, halved, by_two) = found[1], found[2]
    assert halved == scores / 2
    # What flows past the layers, which remat saves, is whole on both.
    assert kept_by_two == kept and 0.5 * work < by_two < 0.75 * work


def test_a_kernel_keeps_outputs_in_the_place_of_scores(tmp_path):
    config = small_paper()
    config.mesh.data, config.mesh.model, config.model.remat = 1, 1, False
    found = {}
    for kind, chip in (('xla', 'v5p'), ('auto', 'v5p'), ('auto', 'h100')):
        config.model.attention = kind
        made = plan.plan(config, chip, 1, (61, 12), tmp_path)
        found[kind, chip] = made['memory']
    by_xla, by_kernel, on_gpu = found.values()
    assert by_xla['attention scores'] > 0 == by_kernel['attention scores']
    more = by_kernel['activations'] - by_xla['activations']
    assert more > 0
    assert on_gpu['activations'] == by_kernel['activations']


def test_fsdp_that_cuts_nothing_is_told(tmp_path):
    config = small_paper()
    config.mesh.fsdp, config.mesh.model = True, 1
    found = {}
    for data in (7, 8):
        config.mesh.data = data
        made = plan.plan(config, 'v5p', data, (61, 12), tmp_path)
        found[data] = any('does nothing' in told for told in made['assumed'])
    assert found == {7: True, 8: False}


def test_a_bank_s_bytes():
    trained = {'prompt': jax.ShapeDtypeStruct((10, 32), jnp.float32)}
    own = 10 * 32 * 4
    # The prompt, its start, its gradient, two moments and a count.
    adam = cost.bank_bytes(trained, optax.adam(0.1), owners=3)
    assert adam == 3 * (5 * own + 4)


def run(*flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'fedprompt_jax.planning', *flags],
        cwd=ROOT,
        env=main_test.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


PAPER = '--config=configs/fedavg_adam.py:paper', '--chip=v5p', '--chips=64'


def test_the_paper_s_run_is_planned_without_model_and_data():
    done = run(*PAPER, '--json')
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Llama 3.1 8B: 8,030,261,248 parameters.
    assert found['parameters'] == 8_030_261_248
    assert found['bytes_up'] == found['bytes_down'] == 10 * 4096 * 4
    assert found['bytes_kept'] == 0
    c = fedavg_adam.get_config('paper')
    examples = c.clients_per_round * c.local_steps * c.batch_size
    a_round = 61 + 12  # tokens an example, as the flags assume
    assert found['tokens'] == pytest.approx(examples * a_round, rel=0.1)
    assert 4.0e9 < found['memory']['base'] < 4.1e9  # a quarter of bf16
    assert found['flops'] > found['useful_flops']
    assert len(found['assumed']) == 6
    assert found['fits']
    shown = plan.text(found)
    assert '64 x v5p, mesh 16 x 4' in shown
    assert 'It does not fit' not in shown


@pytest.mark.parametrize('family', ['t5', 'roberta'])
def test_targets_are_no_tokens_of_a_row_that_an_encoder_reads(family, tmp_path):
    tiny_families.make_checkpoint(tmp_path / 'model', family)
    config = fedavg_adam.get_config()
    sizes = source.read_config(tmp_path / 'model')
    model = TunedModel(Transformer(sizes), Prompt(10))
    found = [workload.assumed(config, model, 30, target) for target in (2, 20)]
    rows = [[e.num_tokens for e in t.cohorts[0]] for t in found]
    assert rows[0] == rows[1]
    longest = 10 + config.data.max_query
    assert found[0].training.shapes[-1].length < longest + shapes.QUANTUM
    assert bool(found[0].queries) == (family == 't5')
    assert found[0].requests > 0


def test_what_does_not_fit_is_said():
    few = (f'--config.{key}={value}' for key, value in FEW.items())
    mesh = '--chip=v5e', '--chips=16', '--config.mesh.model=1'
    flags = *PAPER[:1], *mesh, *few
    done = run(*flags)
    assert done.returncode == 0, done.stderr
    assert 'It does not fit' in done.stdout
    assert "set config.model.quantization='int8'" in done.stdout
    done = run(*flags, '--config.model.quantization=int8', '--json')
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    tables = 2 * 128_256 * 4096  # of tokens, and the head; the norms are small
    layers = found['parameters'] - tables
    assert found['memory']['base'] == pytest.approx(2 * tables + layers, 1e-3)
    assert not any('quantization' in lever for lever in found['levers'])


@pytest.mark.parametrize(
    ('flags', 'told'),
    [
        (('--chips=63',), 'use --config.mesh.data=63 --config.mesh.model=1'),
        (('--chips=32',), 'use --config.mesh.data=8 --config.mesh.model=4'),
        (('--config.model.source=nowhere',), 'or with llama-8b'),
        (('--config.batch_size=0',), 'config.batch_size=0 must be'),
        (('--chip=abacus',), 'abacus'),
    ],
)
@exhaustive
def test_faults_are_sentences(flags, told):
    done = run(*PAPER, *flags)
    assert done.returncode != 0
    assert told in done.stderr and 'Traceback' not in done.stderr


def test_real_data_and_a_real_folder_are_used(tmp_path):
    runs = Runs(tmp_path)
    changes = {
        'rounds': 1, 'validation__every': 0, 'personalization__epochs': 0
    }  # fmt: skip
    config = runs.config(**changes)
    found = plan.plan(config, 'cpu', 1, (61, 12), tmp_path / 'cache')
    assert len(found['assumed']) == 2  # a share of the rate, and no compiling
    runs.start(tmp_path / 'run', **changes)
    first = main_test.metrics(tmp_path / 'run')[0]
    assert first['stage'] == 'train'
    assert first['bytes_up'] == 2 * found['bytes_up']
    assert found['useful_flops'] == pytest.approx(first['flops'], rel=0.3)
    info = json.loads((tmp_path / 'run' / 'run.json').read_text())
    assert found['packing'] == info['packing']
