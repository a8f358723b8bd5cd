"""Results do not depend on the devices: eight of them, in every mesh."""

from collections import Counter
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np
import pytest

from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.planning import hlo
from tests import tiny, tiny_families
from tests.exhaustive import beyond, exhaustive
from tests.parity import cases

ROOT = Path(__file__).parents[1]
# (data, model), or with the base over `data` as well; or that in int8.
MESHES = [(8, 1), (2, 4), (1, 8), (4, 2, 'fsdp')]
# Losses of four owners (and of nobody), and their prompts' gradients.
SUMS = ['f32[5]', 'f32[1,4,3,32]']
RUNS = [
    *(('llama', mesh) for mesh in MESHES),
    ('t5', (4, 2, 'fsdp', 'int8')),
]
# Kinds that every layer reads, on meshes whose devices have rows of their own.
KINDS = [('lora', (8, 1))]
MORE_KINDS = [
    *((kind, (8, 1)) for kind in ('prefix', 'adapter', 'ia3', 'idpg', 'lpt')),
    *(('lora', mesh) for mesh in [(4, 2), (4, 2, 'fsdp')]),
]
WHOLE = [(4, 2), (4, 2, 'fsdp')]
WHOLE_CASES = [pytest.param((4, 2), marks=exhaustive), (4, 2, 'fsdp')]


class Loaded(NamedTuple):
    """A checkpoint on a mesh of all devices, and what uses it."""

    mesh: Any
    lm: Any
    transformer: Any


def load(
    folder: Path, data: int, model: int, fsdp: str = '', quantization: str = ''
) -> Loaded:
    from fedprompt_jax import mesh as mesh_lib
    from fedprompt_jax.models import source
    from fedprompt_jax.models.sizes import base_leaves
    from fedprompt_jax.models.transformer import Transformer

    mesh = mesh_lib.make_mesh(data, model)
    sizes = source.read_config(folder)
    leaves = base_leaves(sizes, 'float32', quantization)
    sharding = mesh_lib.base_sharding(mesh, leaves, bool(fsdp))
    lm = source.load(folder, np.float32, sharding, quantization)
    stack = lm.base['encoder'] if sizes.encoder else lm.base
    kernel = stack['layers']['mlp']['up']['kernel']
    assert len(kernel.sharding.device_set) == data * model
    *_, width, own = kernel.addressable_shards[0].data.shape
    assert own == sizes.mlp_width // model
    assert width == sizes.width // (data if fsdp else 1)
    if quantization:
        scale = stack['layers']['mlp']['up']['scale']
        assert scale.addressable_shards[0].data.shape[-1] == own
    gather = mesh_lib.Gather(mesh) if fsdp else None
    return Loaded(mesh, lm, Transformer(lm.config, gather=gather))


def compute(folder: Path, *asked) -> dict[str, np.ndarray]:
    """Gradients, generation and losses on a mesh of all devices."""
    from fedprompt_jax import mesh as mesh_lib
    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.data.packing import Shape
    from fedprompt_jax.evaluation.generation import Generator, Query
    from fedprompt_jax.federated.packed import PackedSimulation
    from fedprompt_jax.models.input_embeddings import InputEmbeddings
    from fedprompt_jax.models.transformer import Transformer
    from fedprompt_jax.peft.prompt import Prompt
    from tests import plain

    mesh, lm, transformer = load(folder, *asked)
    put = mesh_lib.Devices(mesh).rows
    model = TunedModel(transformer, Prompt(plain.P))
    rng = np.random.default_rng(0)
    bank = plain.random_bank(rng, 4)
    bank = mesh_lib.Devices(mesh).replicate(bank)
    examples = plain.random_examples(rng, (5, 3, 0, 6))
    if lm.config.encoder is not None:
        examples = [
            cases.place_targets(e, lm.config.objective) for e in examples
        ]
    packer = model.packer(Shape(32, 16, (8,)))
    simulation = PackedSimulation(model, lm.base, packer, 'sequence', put)
    losses, grads = simulation.gradients(bank, examples)
    generate = Generator(
        model,
        lm.base,
        eos_ids=lm.tokenizer.eos_ids,
        max_new_tokens=4,
        batch_size=8,
        place_rows=put,
    )
    queries = [Query(e.owner, e.query) for e in examples[:11]]
    tokens = np.full((11, 4), -1)
    for row, output in zip(tokens, generate(bank, queries), strict=True):
        row[: len(output)] = output
    # Of a prompt that starts as a text, from a table in parts.
    start = InputEmbeddings(Transformer(lm.config), lm.base)[np.arange(9)]
    return {
        'losses': losses,
        'grads': grads['prompt'],
        'tokens': tokens,
        'start': mesh_lib.to_host(start),
    }


def train_all(folder: Path, *asked) -> dict[str, np.ndarray]:
    """The loss of the model itself, and the gradient of all its weights."""
    from fedprompt_jax import mesh as mesh_lib
    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.data.packing import Shape
    from fedprompt_jax.federated.packed import PackedSimulation
    from fedprompt_jax.peft.full import Full
    from tests import plain

    mesh, lm, transformer = load(folder, *asked)
    model = TunedModel(transformer, Full())
    bank = jax.tree.map(lambda x: np.asarray(x)[None], lm.base)
    bank = mesh_lib.Devices(mesh).replicate(bank)
    examples = plain.random_examples(np.random.default_rng(0), (6,))
    packer = model.packer(Shape(32, 16, (8,)))
    put = mesh_lib.Devices(mesh).rows
    simulation = PackedSimulation(model, lm.base, packer, 'sequence', put)
    losses, grads = simulation.gradients(bank, examples)
    flat = [np.ravel(x) for x in jax.tree.leaves(grads)]
    return {'losses': losses, 'grads': np.concatenate(flat)}


def train_kind(folder: Path, name: str, *asked) -> dict[str, np.ndarray]:
    """Gradients and outputs of a kind that layers read, and its programs."""
    from fedprompt_jax import mesh as mesh_lib
    from fedprompt_jax import peft
    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.bank.kind import ModelInfo
    from fedprompt_jax.data.examples import token_weights
    from fedprompt_jax.data.packing import Shape
    from fedprompt_jax.evaluation import causal
    from fedprompt_jax.models import source
    from fedprompt_jax.models.sizes import param_shapes
    from tests import kinds_test, plain

    mesh, lm, transformer = load(folder, *asked)
    info = ModelInfo(
        lm.config, source.read_names(folder), param_shapes(lm.config)
    )
    kind = peft.get(name).make(kinds_test.config_of(name), info)
    model = TunedModel(transformer, kind, mesh_lib.copies(mesh))
    devices, rng = mesh_lib.Devices(mesh), np.random.default_rng(0)
    params = kind.init(kinds_test.start())

    def bank_of(owners):
        return jax.tree.map(
            lambda x: rng.normal(0, 0.1, (owners, *x.shape)).astype(x.dtype),
            params,
        )

    bank = devices.replicate(bank_of(4))
    examples = plain.random_examples(rng, (5, 3, 0, 6))
    weights = token_weights(examples, 'sequence')
    (grid,) = model.packer(Shape(96, 64, (8,))).pack(examples, weights)
    args = model, lm.base, bank, devices.rows(grid)
    losses, grads = grid_gradients(*args)
    flat = [np.ravel(x) for x in jax.tree.leaves(grads)]
    found = {
        'losses': losses,
        'grads': np.concatenate(flat),
        'program': np.array(grid_gradients.lower(*args).compile().as_text()),
    }
    if not kind.reads_query and not kind.enters_at:
        rows = devices.rows(bank_of(8))
        queries = devices.rows(
            (rng.integers(4, 300, (8, 6)), np.full(8, 6, np.int32))
        )
        past = causal.prompt_cache(model, lm.base, rows)
        args = model, lm.base, rows, past, *queries, (2,), 4
        text = causal.greedy.lower(*args).compile().as_text()
        found |= {
            'tokens': mesh_lib.to_host(causal.greedy(*args)),
            'decoding': np.array(text),
        }
    return found


def program(folder: Path, *asked) -> str:
    """The compiled gradient on a mesh."""
    from fedprompt_jax import mesh as mesh_lib
    from fedprompt_jax.bank.binding import TunedModel
    from fedprompt_jax.data.examples import token_weights
    from fedprompt_jax.data.packing import Shape
    from fedprompt_jax.peft.prompt import Prompt
    from tests import plain

    mesh, lm, transformer = load(folder, *asked)
    tuned = TunedModel(transformer, Prompt(plain.P))
    rng = np.random.default_rng(0)
    bank = mesh_lib.Devices(mesh).replicate(plain.random_bank(rng, 4))
    examples = plain.random_examples(rng, (5, 3, 1, 6))
    weights = token_weights(examples, 'sequence')
    (grid,) = tuned.packer(Shape(64, 48, (8,))).pack(examples, weights)
    lowered = grid_gradients.lower(
        tuned, lm.base, bank, mesh_lib.Devices(mesh).rows(grid)
    )
    return lowered.compile().as_text()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Holds two models, a Llama and a T5."""
    folder = tmp_path_factory.mktemp('mesh')
    tiny.make_checkpoint(folder / 'llama')
    tiny_families.make_checkpoint(folder / 't5', 't5_v1_1')
    return folder


@pytest.fixture(scope='module')
def on_eight(folder, request):
    """What one process with eight devices found, by mesh.

    Those that the tests which are to run ask for.
    """
    asked = {
        ' '.join(str(item.callspec.params[k]) for k in named)
        for item in request.session.items
        if item.path.stem == 'mesh_test'
        and hasattr(item, 'callspec')
        and (
            named := [k for k in ('kind', 'mesh') if k in item.callspec.params]
        )
    }
    done = subprocess.run(
        [sys.executable, '-m', 'tests.mesh_test', folder, *asked],
        cwd=ROOT,
        env=os.environ
        | {
            'JAX_PLATFORMS': 'cpu',
            'JAX_NUM_CPU_DEVICES': '8',
            'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / 'results.npz')


@pytest.fixture(scope='module')
def on_one(folder):
    if jax.device_count() != 1:
        pytest.skip('needs a process with one device to compare with')
    return {
        (name, *quantized): compute(folder / name, 1, 1, '', *quantized)
        for name, *quantized in [('llama',), ('t5', 'int8')]
    } | {'all': train_all(folder / 'llama', 1, 1)}


@pytest.mark.parametrize(
    ('kind', 'mesh'), beyond(KINDS, KINDS + MORE_KINDS), ids=str
)
def test_so_it_does_for_what_every_layer_reads(kind, mesh, folder, on_eight):
    """One sum of the gradient behind all layers, and no array is gathered."""
    if jax.device_count() != 1:
        pytest.skip('needs a process with one device to compare with')
    on_one = train_kind(folder / 'llama', kind, 1, 1)
    found = {key: on_eight[f'{kind} {key} {mesh}'] for key in on_one}
    np.testing.assert_allclose(found['losses'], on_one['losses'], rtol=1e-5)
    np.testing.assert_allclose(
        found['grads'], on_one['grads'], rtol=1e-3, atol=1e-5
    )
    if 'tokens' in found:
        np.testing.assert_array_equal(found['tokens'], on_one['tokens'])
    if mesh == (8, 1):
        (only,) = hlo.collectives(str(found['program']))
        assert only.endswith(' all-reduce')
        # Of decoding, whether all rows have ended.
        decoding = hlo.collectives(str(found.get('decoding', '')))
        assert {said.split(' all-')[0] for said in decoding} <= {'pred[]'}


@pytest.mark.parametrize(('name', 'mesh'), beyond(RUNS[-2:], RUNS), ids=str)
def test_every_mesh_gives_what_one_device_gives(name, mesh, on_one, on_eight):
    on_one = on_one[name, *mesh[3:]]
    found = {key: on_eight[f'{name} {key} {mesh}'] for key in on_one}
    np.testing.assert_allclose(found['losses'], on_one['losses'], rtol=1e-5)
    assert found['losses'][2] == 0  # the absent owner
    np.testing.assert_allclose(
        found['grads'], on_one['grads'], rtol=1e-3, atol=1e-5
    )
    np.testing.assert_array_equal(found['tokens'], on_one['tokens'])
    np.testing.assert_array_equal(found['start'], on_one['start'])


@pytest.mark.parametrize('mesh', WHOLE_CASES, ids=str)
def test_so_it_does_where_the_whole_model_is_trained(mesh, on_one, on_eight):
    found = {key: on_eight[f'all {key} {mesh}'] for key in on_one['all']}
    losses, grads = on_one['all']['losses'], on_one['all']['grads']
    np.testing.assert_allclose(found['losses'], losses, rtol=1e-5)
    off = np.linalg.norm(found['grads'] - grads)
    assert off < 1e-5 * np.linalg.norm(grads)


def test_a_step_communicates_the_bank_s_gradient_and_nothing_else(on_eight):
    """One all-reduce, of the losses [C] (and one) and gradients [C, P, D]."""
    (only,) = hlo.collectives(str(on_eight['program (8, 1)']))
    assert only.endswith(' all-reduce')
    assert re.findall(r'f32\[[\d,]*\]', only) == SUMS


def test_fsdp_gathers_a_layer_where_it_is_at_work(on_eight):
    """Forward and backward; and rows stay where they are."""
    text = str(on_eight["program (8, 1, 'fsdp')"])
    found = [
        (said.split()[-1], re.findall(r'f32\[([\d,]*)\]', said))
        for said in hlo.collectives(text)
    ]
    (sums,) = (shapes for kind, shapes in found if kind != 'all-gather')
    assert [f'f32[{shape}]' for shape in sums] == SUMS
    gathered = Counter(s for kind, (s, *_) in found if kind == 'all-gather')
    assert gathered.pop('300,32') == 1  # the vocabulary
    # Queries and output; keys and values; gate and up; down.
    kernels = {'1,32,32': 4, '1,32,16': 4, '1,32,64': 4, '1,64,32': 2}
    assert gathered == kernels
    for shape in kernels:  # of both layers at once, nowhere
        assert f'f32[2,{shape[2:]}]' not in text


def test_a_mesh_of_other_devices_than_there_are_is_an_error():
    from fedprompt_jax import mesh as mesh_lib

    have = jax.device_count()
    with pytest.raises(ValueError, match=f'number of devices, {have}') as e:
        mesh_lib.make_mesh(2 * have, 1)
    assert f'--config.mesh.data={have} --config.mesh.model=1' in str(e.value)
    with pytest.raises(ValueError, match='number of devices') as e:
        mesh_lib.make_mesh(1, 2 * have)
    assert f'--config.mesh.data={have} --config.mesh.model=1' in str(e.value)


def test_a_mesh_of_fewer_devices_is_an_error(monkeypatch):
    from fedprompt_jax import mesh as mesh_lib

    monkeypatch.setattr(jax, 'device_count', lambda: 8)
    mesh_lib.check_devices(4, 2)
    for data, model, other in ((2, 2, 4), (8, 2, 4), (1, 3, 8)):
        with pytest.raises(ValueError, match='number of devices, 8') as e:
            mesh_lib.check_devices(data, model)
        assert f'--config.mesh.data={other} ' in str(e.value)


@pytest.mark.parametrize(
    ('path', 'shape', 'alone', 'fsdp'),
    [
        # A leaf of a Llama, and its cuts over `model` and over both axes.
        ('layers/attention/query/kernel', (2, 32, 16), '-M', 'DM'),
        ('layers/attention/qkv/bias', (2, 48), 'M', 'M'),
        ('layers/attention/output/kernel', (2, 16, 32), 'M-', 'MD'),
        ('layers/mlp/gate/kernel', (2, 32, 64), '-M', 'DM'),
        ('layers/mlp/up/kernel', (2, 32, 64), '-M', 'DM'),
        ('layers/mlp/up/scale', (2, 64), 'M', 'M'),
        ('layers/mlp/down/kernel', (2, 64, 32), 'M-', 'MD'),
        ('layers/mlp/down/bias', (2, 32), '', ''),
        ('embed/embedding', (300, 32), 'M-', 'MD'),
        ('head/kernel', (32, 300), '-M', 'DM'),
        ('final_norm/scale', (32,), '', ''),
        # What an axis does not divide stays whole along it.
        ('layers/mlp/up/kernel', (2, 30, 64), '-M', '-M'),
        ('layers/mlp/up/kernel', (2, 32, 63), '--', 'D-'),
        ('embed/embedding', (301, 32), '--', '-D'),
    ],
)
def test_how_a_leaf_is_cut(path, shape, alone, fsdp):
    from fedprompt_jax import mesh as mesh_lib

    letters = {'data': 'D', 'model': 'M', None: '-'}
    sizes = {'data': 4, 'model': 2}
    for whole, expected in ((False, alone), (True, fsdp)):
        spec = mesh_lib.cut(path, shape, sizes, whole)
        if path.startswith('layers/') and len(spec):
            layers, *spec = spec
            assert layers is None  # each is at work on all devices
        assert ''.join(letters[axis] for axis in spec) == expected


def abstract_mesh():
    # The axes are automatic, as make_mesh has them: jax 0.11 makes others.
    auto = (jax.sharding.AxisType.Auto,) * 2
    return jax.sharding.AbstractMesh((4, 2), ('data', 'model'), auto)


def cuts(function, shapes: dict) -> dict:
    """Shape of each leaf that a function places -> how it is cut."""
    leaves = flax.traverse_util.unflatten_dict(
        {
            path: jax.ShapeDtypeStruct(shape, np.float32)
            for path, shape in shapes.items()
        },
        sep='/',
    )
    made = jax.make_jaxpr(function)(leaves)
    return {
        e.outvars[0].aval.shape: tuple(e.params['sharding'].spec)
        for e in made.eqns
    }


def test_a_layer_at_work_is_cut_over_model_alone():
    """FSDP brings its kernels together over `data`."""
    from fedprompt_jax import mesh as mesh_lib

    shapes = {'mlp/up/kernel': (32, 64), 'mlp/down/kernel': (64, 32)}
    assert cuts(mesh_lib.Gather(abstract_mesh()), shapes) == {
        (32, 64): (None, 'model'),
        (64, 32): ('model', None),
    }


def test_tables_at_work_are_cut_over_model_alone():
    """Layers stay as they are until each is at work."""
    from fedprompt_jax import mesh as mesh_lib

    shapes = {
        'embed/embedding': (300, 32),
        'head/kernel': (32, 300),
        'layers/mlp/up/kernel': (2, 32, 64),
    }
    assert cuts(mesh_lib.Gather(abstract_mesh()).tables, shapes) == {
        (300, 32): ('model', None),
        (32, 300): (None, 'model'),
    }


def test_rows_are_spread_where_data_divides_them():
    from fedprompt_jax import mesh as mesh_lib

    specs = [
        tuple(mesh_lib.row_sharding(abstract_mesh(), rows).spec)
        for rows in (0, 2, 4, 6, 8)
    ]
    assert specs == [(), (), ('data',), (), ('data',)]


def test_one_process_reads_all_rows():
    from fedprompt_jax import mesh as mesh_lib

    own = mesh_lib.Devices(mesh_lib.make_mesh(jax.device_count(), 1)).my_rows
    assert own(5).tolist() == [True] * 5
    assert own(8).tolist() == [True] * 8


def main(folder: Path, *asked: str) -> None:
    assert jax.device_count() == 8
    results = {
        f'{name} {key} {mesh}': value
        for name, mesh in RUNS
        if str(mesh) in asked
        for key, value in compute(folder / name, *mesh).items()
    }
    results |= {
        f'all {key} {mesh}': value
        for mesh in WHOLE
        if str(mesh) in asked
        for key, value in train_all(folder / 'llama', *mesh).items()
    }
    results |= {
        f'{kind} {key} {mesh}': value
        for kind, mesh in KINDS + MORE_KINDS
        if f'{kind} {mesh}' in asked
        for key, value in train_kind(folder / 'llama', kind, *mesh).items()
    }
    programs = {
        f'program {mesh}': np.array(program(folder / 'llama', *mesh))
        for mesh in [(8, 1), (8, 1, 'fsdp')]
    }
    np.savez(folder / 'results.npz', **results, **programs)


if __name__ == '__main__':
    main(Path(sys.argv[1]), *sys.argv[2:])
