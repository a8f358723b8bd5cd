"""Attention that keeps no scores gives what XLA's attention gives."""

import dataclasses
import itertools
import logging
import os
from pathlib import Path
import subprocess
import sys
from unittest import mock

import jax
from jax.experimental.pallas import tpu, triton
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType
import numpy as np
import pytest

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients, grid_hessian_products
from fedprompt_jax.bank.kind import Start
from fedprompt_jax.data.examples import token_weights
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.mesh import make_mesh
from fedprompt_jax.models import attention
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.kernels import choice
from fedprompt_jax.models.kernels import table as table_lib
from fedprompt_jax.models.kernels.choice import Kernel
from fedprompt_jax.models.kernels.flash import Flash, attend
from fedprompt_jax.models.kernels.scores import Rule
from fedprompt_jax.models.kernels.tiles import Tiles
from fedprompt_jax.models.reads import UNLIMITED, Reads
from fedprompt_jax.models.transformer import Transformer
from tests import choice_rows_test, kinds_test, plain, tiny_families
from tests.choice_rows_test import FAMILIES, kind_of, questions
from tests.exhaustive import beyond, exhaustive
from tests.plain import P, same

ROOT = Path(__file__).parents[1]
SCALE = 0.6
PALLAS = Kernel('pallas', 'cpu')


def random_reads(rng, rows: int, length: int) -> Reads:
    """Rows of up to four owners; examples, some with a query, and padding."""
    owner = np.sort(rng.integers(0, 4, (rows, length)), axis=1)
    owner[:, length - length // 8 :] = -1
    segment = 1 + np.cumsum(rng.random((rows, length)) < 0.2, axis=1)
    slot = np.full((rows, length), -1)
    for r, q in np.ndindex(rows, length):
        begins = owner[r, q] >= 0 and q % 7 and owner[r, q] not in owner[r, :q]
        if begins:  # every other owner has a slot for all of its examples
            slot[r, q], segment[r, q] = 0, 0
    segment[owner < 0] = 0
    earlier = np.maximum(segment - 1, 1)
    query = np.where(rng.random((rows, length)) < 0.3, earlier, segment)
    query = np.where(segment > 0, query, 0)
    return Reads.of(owner, segment, query, slot)


def drawn(rng, rows, length, heads, kv_heads, width, dtype=np.float32):
    q = rng.normal(size=(rows, length, heads, width))
    k, v = rng.normal(size=(2, rows, length, kv_heads, width))
    return [jnp.asarray(x, dtype) for x in (q, k, v)]


def both_ways(function, *args):
    """The result of a function of arrays, and its gradients."""

    def call(*args):
        out, pull = jax.vjp(function, *args)
        rng = np.random.default_rng(1)
        return out, *pull(jnp.asarray(rng.normal(size=out.shape), out.dtype))

    return [np.asarray(x) for x in jax.jit(call)(*args)]


def by_kernel(tiles, reads, causal, cap=0.0, mesh=None, width=0):
    def call(q, k, v):
        rule = Rule(SCALE, cap, causal)
        flash = Flash(tiles, rule, width or q.shape[-1], mesh)
        return masked(attend(flash, q, k, v, reads), reads)

    return call


def by_xla(reads, causal, cap=0.0):
    def call(q, k, v):
        out = attention.attend(q, [(k, v)], reads.mask(causal), SCALE, cap)
        return masked(out.reshape(q.shape), reads)

    return call


def masked(out, reads):
    """Without padding, of which the kernel computes nothing."""
    return jnp.where((reads.reader.owner >= 0)[..., None, None], out, 0)


# (query heads, key heads), cap, window, causal, heads first.
CASES = [*itertools.product(
    [(6, 2), (2, 2)], [0.0, 0.7], [0, 4], [True, False], [True, False]
)]  # fmt: skip


@pytest.mark.parametrize(
    ('heads', 'cap', 'window', 'causal', 'heads_first'),
    beyond(
        [((6, 2), 0.7, 4, True, True), ((2, 2), 0.0, 0, False, False)], CASES
    ),
)
def test_outputs_and_gradients_are_xla_s(
    heads, cap, window, causal, heads_first
):
    rng = np.random.default_rng(0)
    rows, length = 3, 43  # of blocks of 16
    reads = random_reads(rng, rows, length)
    if window:
        position = jnp.asarray(rng.integers(0, 9, (rows, length)))
        reads = reads.within(position, window)
    args = drawn(rng, rows, length, *heads, 5)
    tiles = Tiles(16, heads_first, interpret=True)
    found = both_ways(by_kernel(tiles, reads, causal, cap, width=8), *args)
    expected = both_ways(by_xla(reads, causal, cap), *args)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


def test_a_window_is_of_positions():
    rng = np.random.default_rng(0)
    reads = random_reads(rng, 2, 30)
    position = jnp.asarray(rng.integers(0, 9, (2, 30)))
    back = position[:, :, None] - position[:, None, :]
    for causal in (True, False):
        found = reads.within(position, 4).mask(causal)
        np.testing.assert_array_equal(found, reads.mask(causal) & (back < 4))
        far = reads.within(position, UNLIMITED).mask(causal)
        np.testing.assert_array_equal(far, reads.mask(causal))


def test_bf16_is_as_exact_as_xla_s():
    rng = np.random.default_rng(0)
    reads = random_reads(rng, 2, 40)
    narrow = drawn(rng, 2, 40, 4, 2, 8, jnp.bfloat16)
    wide = [x.astype(np.float32) for x in narrow]
    tiles = Tiles(16, False, interpret=True)
    exact = both_ways(by_xla(reads, True), *wide)
    found = both_ways(by_kernel(tiles, reads, True), *narrow)
    theirs = both_ways(by_xla(reads, True), *narrow)
    for x, y, z in zip(found, theirs, exact, strict=True):
        off, reference = (
            np.abs(np.float32(n) - z).mean() / np.abs(z).mean() for n in (x, y)
        )
        # XLA may keep weights in f32 on a CPU: twice as many roundings.
        assert off < 2 * reference < 0.02


def test_a_token_that_reads_nothing_gets_nothing():
    """A slot below the layer where its prompt enters: no NaN, no gradient."""
    rng = np.random.default_rng(0)
    reads = random_reads(rng, 1, 20)
    reads = reads.without(jnp.ones((1, 20), bool))
    args = drawn(rng, 1, 20, 2, 1, 4)
    tiles = Tiles(16, False, interpret=True)
    for x in both_ways(by_kernel(tiles, reads, True), *args):
        np.testing.assert_array_equal(x, 0)


def test_a_table_says_where_the_tokens_of_an_owner_lie():
    owner = np.array([[0, 0, 2, 2, 2, -1, -1]])
    none = np.full_like(owner, -1)
    table = table_lib.make(Reads.of(owner, owner + 1, owner + 1, none), 8)[0]
    begin, end = table[table_lib.BEGIN], table[table_lib.END]
    np.testing.assert_array_equal(begin, [0, 0, 2, 2, 2, 8, 8, 8])
    np.testing.assert_array_equal(end, [2, 2, 5, 5, 5, 0, 0, 0])


def test_blocks_of_other_owners_are_not_read():
    """Not even multiplied by 0: what is not finite there has no effect."""
    owner = np.repeat([[0, 1]], 16, axis=1)  # a block each
    segment = np.ones_like(owner)
    reads = Reads.of(owner, segment, segment, np.full_like(owner, -1))
    args = drawn(np.random.default_rng(0), 1, 32, 2, 1, 4)
    lost = [x.at[:, :16].set(np.nan) for x in args]
    call = by_kernel(Tiles(16, False, interpret=True), reads, False)
    for x, y in zip(
        both_ways(call, *args), both_ways(call, *lost), strict=True
    ):
        np.testing.assert_array_equal(x[:, 16:], y[:, 16:])
        assert np.isnan(y[:, :16]).all()


def ready(kind: str, family: str):
    """A tiny model with noise in all that is trained, and a grid."""
    info = kinds_test.base_of(family)
    transformer = Transformer(info.config)
    tokens = np.ones((1, 4), np.int32)
    base = transformer.init(jax.random.key(1), tokens)['params']
    noise = choice_rows_test._noise
    base = jax.tree.map(lambda x: x + 0.1 * noise(x), base)
    if kind == 'short prefix':  # one layer has none
        reader = info.config.reader
        made = choice_rows_test.Prefix(
            (3, 0, 3), reader.num_kv_heads, reader.head_dim
        )
    elif kind in ('lpt', 'idpg'):
        made = kinds_test.made(kind, family, length=3)
    else:
        made = kind_of(kind, family)
    width = info.config.embedding_width or info.config.width
    rows = jnp.zeros((300, width))
    start = Start(np.random.default_rng(0), rows, lambda text: [1])
    bank = jax.tree.map(
        lambda x: jnp.stack([x + 0.3 * noise(x) for _ in range(2)]),
        made.init(start),
    )
    model = TunedModel(transformer, made)
    asked = questions(family)  # a query's targets are segments of their own
    packer = model.packer(Shape(64, 32, (2,)))
    (grid,) = packer.pack(asked, [1.0] * len(asked))
    return model, base, bank, grid


MODELS = [
    *(('prompt', family) for family in tiny_families.CONFIGS),
    ('prefix', 'gemma2'),
    ('lora', 'roberta'),
    ('adapter', 't5_v1_1'),
    ('short prefix', 'llama_linear'),
    ('lpt', 'llama_linear'),
    ('lpt', 'gemma2'),
    ('idpg', 'gpt2'),
]


@pytest.mark.parametrize(
    ('kind', 'family'), beyond([('short prefix', 'llama_linear')], MODELS)
)
def test_every_family_and_kind_has_the_same_gradients(kind, family):
    """Where the kernel serves them, and where XLA computes all the same."""
    objective = kinds_test.base_of(family).config.objective
    with mock.patch.dict(FAMILIES, {family: objective}):
        model, base, bank, grid = ready(kind, family)
    losses, grads = grid_gradients(model, base, bank, grid)
    kernel = model.with_kernel(PALLAS)
    found, their_grads = grid_gradients(kernel, base, bank, grid)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(grads))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, 1e-4, 1e-5 * scale),
        their_grads,
        grads,
    )


@exhaustive
@pytest.mark.parametrize('remat', [False, True])
def test_packed_and_vmapped_are_the_loop_over_clients(remat, model, lm):
    rng = np.random.default_rng(0)
    bank = plain.random_bank(rng, 3)
    examples = plain.random_examples(rng, (3, 0, 4))
    losses, grads = plain.gradients(model, lm.base, bank, examples, 'sequence')
    transformer = Transformer(lm.config, remat, kernel=PALLAS)
    model = dataclasses.replace(model, transformer=transformer)
    for simulation in (
        PackedSimulation(model, lm.base, plain.PACKER, 'sequence', same),
        VmappedSimulation(model, lm.base, 'sequence', same),
    ):
        got, got_grads = simulation.gradients(bank, examples)
        np.testing.assert_allclose(got, losses, rtol=1e-5)
        plain.assert_owners_close(got_grads, grads, 1e-4)


@exhaustive
def test_an_owner_that_is_not_finite_harms_no_other(model, lm):
    rng = np.random.default_rng(0)
    bank = plain.random_bank(rng, 3)
    examples = plain.random_examples(rng, (2, 2, 2))
    simulation = PackedSimulation(
        model.with_kernel(PALLAS), lm.base, plain.PACKER, 'sequence', same
    )
    losses, grads = simulation.gradients(bank, examples)
    prompt = bank['prompt'].at[1].set(1e38)  # it overflows in the model
    got, got_grads = simulation.gradients({'prompt': prompt}, examples)
    for owner in (0, 2):
        np.testing.assert_allclose(got[owner], losses[owner], rtol=1e-5)
        x, y = (g['prompt'][owner] for g in (got_grads, grads))
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


@exhaustive
def test_second_derivatives_are_taken_of_xla_s_attention(model, lm):
    rng = np.random.default_rng(0)
    bank, tangents = (plain.random_bank(rng, 2) for _ in range(2))
    examples = plain.random_examples(rng, (1, 1))
    packer = Packer(P, (Shape(64, 32, (1,)),))
    (grid,) = packer.pack(examples, token_weights(examples, 'sequence'))
    given = lm.base, bank, tangents, grid
    found = grid_hessian_products(model.with_kernel(PALLAS), *given)
    expected = grid_hessian_products(model, *given)
    np.testing.assert_array_equal(found['prompt'], expected['prompt'])


def on_devices(data: int, model: int, folder: Path) -> None:
    """Writes a kernel's results on a mesh, and whether XLA moves an array."""
    from jax.sharding import NamedSharding, PartitionSpec

    mesh = make_mesh(data, model)
    function, args = one_case(mesh)

    def placed(x, *axes):
        return jax.device_put(x, NamedSharding(mesh, PartitionSpec(*axes)))

    args = [placed(x, 'data', None, 'model') for x in args]
    found = both_ways(function, *args)
    text = jax.jit(function).lower(*args).compile().as_text()
    # Clients on an axis before their two rows, as in the vmapped simulation.
    clients = [
        placed(x.reshape(2, 2, *x.shape[1:]), 'data', None, None, 'model')
        for x in args
    ]
    mapped = jax.jit(jax.vmap(lambda *x: function(*x)))(*clients)
    np.savez(
        folder / 'results.npz',
        gathered='all-gather' in text,
        mapped=mapped.reshape(found[0].shape),
        **{str(i): x for i, x in enumerate(found)},
    )


def one_case(mesh):
    """A function of a kernel that is the same for every row, and arrays."""
    rng = np.random.default_rng(0)
    one = random_reads(rng, 1, 16)
    args = drawn(rng, 4, 16, 4, 2, 4)
    tiles = Tiles(16, False, interpret=True)

    def function(q, k, v):
        reads = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (len(q), *x.shape[1:])), one
        )
        return by_kernel(tiles, reads, True, mesh=mesh)(q, k, v)

    return function, args


def test_four_devices_keep_their_rows_and_heads(tmp_path):
    done = subprocess.run(
        [sys.executable, '-m', 'tests.attention_kernels_test', tmp_path],
        cwd=ROOT,
        env=os.environ
        | {
            'JAX_PLATFORMS': 'cpu',
            'JAX_NUM_CPU_DEVICES': '4',
            'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    on_four = np.load(tmp_path / 'results.npz')
    assert not on_four['gathered']
    function, args = one_case(None)
    expected = both_ways(function, *args)
    for i, x in enumerate(expected):
        np.testing.assert_allclose(on_four[str(i)], x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(on_four['mapped'], expected[0], 1e-5, 1e-6)


@pytest.mark.parametrize(
    ('machine', 'platform'),
    [('tpu', 'tpu'), ('gpu', 'cuda'), ('gpu', 'rocm')],
)
def test_kernels_are_lowered_for_accelerators(machine, platform):
    """On a mesh, for heads that a GPU has to pad, in bf16."""
    mesh = AbstractMesh((2, 2), ('data', 'model'), (AxisType.Auto,) * 2)
    kernel = Kernel('pallas', machine, mesh=mesh)
    rng = np.random.default_rng(0)
    reads = random_reads(rng, 4, 300)
    args = drawn(rng, 4, 300, 4, 2, 24, jnp.bfloat16)

    def gradients(*args):
        def total(*args):
            return kernel.attend(*args, reads, SCALE, 5.0, True).sum()

        return jax.grad(total, argnums=(0, 1, 2))(*args)

    lowered = jax.jit(gradients).trace(*args)
    text = lowered.lower(lowering_platforms=(platform,)).as_text()
    calls = {'tpu': 'tpu_custom_call', 'gpu': '__gpu$xla.gpu.triton'}
    assert text.count(calls[machine]) == 3
    # Scores of a row, of all its heads: nowhere.
    assert '300x300' not in text and '384x384' not in text


def fake_mesh(platform, kind='', capability=None):
    device = mock.Mock(
        platform=platform, device_kind=kind, compute_capability=capability
    )
    mesh = mock.Mock(spec=jax.sharding.Mesh, size=1)
    mesh.devices = np.array([[device]])
    return mesh


@pytest.mark.parametrize(
    ('mesh', 'machine'),
    [
        (fake_mesh('cpu'), None),
        (fake_mesh('tpu', 'TPU v5 lite'), 'tpu'),
        (fake_mesh('gpu', 'NVIDIA H100', '9.0'), 'gpu'),
        (fake_mesh('gpu', 'Tesla V100', '7.0'), None),
        (fake_mesh('gpu', 'AMD Instinct MI300X', 'gfx942'), None),
    ],
    ids=['cpu', 'tpu', 'h100', 'v100', 'rocm'],
)
def test_auto_takes_what_the_devices_have(mesh, machine):
    kernel = choice.make('auto', mesh)
    assert (kernel and (kernel.kind, kernel.machine)) == (
        machine and ('pallas', machine)
    )
    assert choice.make('xla', mesh) is None
    assert choice.make('cudnn', mesh).kind == 'cudnn'


def test_tpus_up_to_v4_have_less_fast_memory():
    """A v4's compiler refuses a kernel that needs more than 16 MiB."""
    memory = {
        name: choice.make('auto', fake_mesh('tpu', name)).memory
        for name in ('TPU v3', 'TPU v4', 'TPU v5 lite', 'TPU7x')
    }
    assert memory == {
        'TPU v3': 2**24, 'TPU v4': 2**24, 'TPU v5 lite': 2**25, 'TPU7x': 2**25,
    }  # fmt: skip
    planned = {
        name: choice.of_machine('auto', 'tpu', name).memory
        for name in ('v4', 'v5e')
    }
    assert planned == {'v4': 2**24, 'v5e': 2**25}


SMALL = ModelConfig(9, 64, 1, 4, 2, 16, 5, 1e-5, True, 9)


@pytest.mark.parametrize(
    ('kernel', 'changes', 'length', 'dtype', 'reason'),
    [
        (PALLAS, {}, 7, 'float32', ''),
        (PALLAS, {'relative_buckets': 8}, 8, 'float32', 'a bias is added'),
        (Kernel('pallas', 'tpu'), {}, 1024, 'bfloat16', ''),
        (Kernel('pallas', 'tpu'), {}, 16384, 'bfloat16', 'of fast memory'),
        (Kernel('pallas', 'gpu'), {}, 16384, 'bfloat16', ''),
        (Kernel('cudnn', 'gpu'), {}, 8, 'bfloat16', ''),
        (Kernel('cudnn', 'gpu'), {}, 8, 'float32', 'needs bfloat16'),
        (Kernel('cudnn', 'gpu'), {}, 7, 'bfloat16', 'is odd'),
        (Kernel('cudnn', 'gpu'), {'head_dim': 12}, 8, 'bfloat16', 'heads'),
        (Kernel('cudnn', 'gpu'), {'head_dim': 136}, 8, 'bfloat16', 'heads'),
        (Kernel('cudnn', 'gpu'), {'score_cap': 5.0}, 8, 'bfloat16', 'a cap'),
    ],
)
def test_what_a_kernel_cannot_compute_xla_does(
    kernel, changes, length, dtype, reason
):
    config = dataclasses.replace(SMALL, **changes)
    found = kernel.obstacle(config, length, dtype)
    assert reason in found and bool(reason) == bool(found)
    assert kernel.serves(config, length, dtype) == (not reason)


def test_the_log_says_once_why(caplog):
    choice._log_once.cache_clear()
    config = dataclasses.replace(SMALL, relative_buckets=8)
    with caplog.at_level(logging.WARNING):
        for length in (8, 16):
            assert not PALLAS.serves(config, length, 'float32')
    (record,) = caplog.records
    assert "'pallas', since a bias is added" in record.getMessage()


def test_a_kernel_that_the_devices_cannot_run_is_an_error(monkeypatch):
    for kind in ('auto', 'xla', 'pallas'):
        choice.check_kernel(kind)
    message = "attention='cudnn' needs .* JAX has 'cpu'; use 'auto'"
    with pytest.raises(ValueError, match=message):
        choice.check_kernel('cudnn')
    gpu = mock.Mock(platform='gpu', compute_capability='7.0')
    monkeypatch.setattr(jax, 'devices', lambda: [gpu])
    choice.check_kernel('auto')
    for kind in ('cudnn', 'pallas'):
        with pytest.raises(ValueError, match="has 'gpu' of .* 7.0"):
            choice.check_kernel(kind)
    gpu.compute_capability = '8.0'
    choice.check_kernel('cudnn')


def test_a_plan_refuses_a_kernel_that_its_chip_cannot_run():
    choice.check_planned('cudnn', 'h100', 'gpu')
    for chip, machine in (('v5p', 'tpu'), ('cpu', 'cpu')):
        choice.check_planned('pallas', chip, machine)
        message = f"attention='cudnn' needs .* --chip={chip} is none; use"
        with pytest.raises(ValueError, match=message):
            choice.check_planned('cudnn', chip, machine)


def test_the_compilers_get_their_own_settings():
    from fedprompt_jax.models.kernels.machines import tiles, width

    for machine, kind in (('tpu', tpu), ('gpu', triton)):
        params = tiles(machine, 1024, 64, 2, 2**24).params
        assert isinstance(params, kind.CompilerParams)
    # A TPU's blocks pad a row no further than its registers do.
    sizes = [
        tiles('tpu', n, 64, 2, 2**24).size for n in (1, 128, 129, 300, 1024)
    ]
    assert sizes == [128, 128, 256, 128, 256]
    assert [width('gpu', n) for n in (4, 16, 24, 64, 80)] == [
        16, 16, 32, 64, 128,
    ]  # fmt: skip
    assert width('tpu', 80) == 80


if __name__ == '__main__':
    on_devices(2, 2, Path(sys.argv[1]))
