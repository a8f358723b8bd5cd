"""Benchmarks run on a tiny scale, and print one JSON object at their end."""

import json
import math
import os
from pathlib import Path
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import pytest

from benchmarks import accelerator_session, compile_points, timing
from configs import fedavg_adam
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.models import families, source
from fedprompt_jax.models.sizes import base_leaves, param_shapes
from fedprompt_jax.planning import chips
from tests import tiny, tiny_data

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.benchmark


@pytest.fixture(scope='module')
def flags(tmp_path_factory) -> list[str]:
    """A tiny model and tiny data, for every benchmark of a model."""
    folder = tmp_path_factory.mktemp('benchmarks')
    model = tiny.make_checkpoint(folder / 'model')
    data = tiny_data.make_data(folder / 'data', instances=60)
    return [
        f'--model={model}',
        f'--data={data}',
        f'--cache_dir={folder / "cache"}',
        '--client_size=20',
        '--prompt_length=3',
        '--repeats=1',
    ]


def run(name: str, *argv: str) -> dict:
    done = subprocess.run(
        [sys.executable, '-m', f'benchmarks.{name}', *argv, '--json'],
        cwd=ROOT,
        env=os.environ | {'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_seconds_of_compilation_are_those_of_jax():
    """Not what the first call takes more than a later one, which may be < 0."""
    pauses = iter([0.0, 0.05])
    slower = timing.measure(lambda: time.sleep(next(pauses)), repeats=1)
    assert slower['first_s'] < slower['median_s'] and slower['compile_s'] == 0
    program = jax.jit(lambda x: jnp.sin(x) * 1.5)
    compiled = timing.measure(lambda: program(1.0), repeats=1)
    assert 0 < compiled['compile_s'] < compiled['first_s']


def test_a_cohort_s_step(flags):
    sizes = ('--clients=2', '--batch=2', '--parts=packed,vmap', '--cohorts=1')
    result = run('cohort_step', *flags, *sizes)
    for name in ('packed', 'vmap'):
        assert result[f'{name}_tokens_per_s'] > 0
        assert 0 < result[f'{name}_ceiling_share'] < 1
        assert 0 < result[f'{name}_compile_s'] < result[f'{name}_first_s']
    assert result['gemm_gflops'] > 0 and result['planned_s'] > 0


def test_a_round_without_waiting(flags):
    sizes = ('--clients=2', '--batch=2', '--steps=2', '--rounds=2')
    result = run('waiting', *flags, *sizes)
    assert result['plain_s'] > 0 and result['ahead_s'] > 0
    assert result['rounds'] == 2 >= result['rounds_alike']
    assert result['ahead_reads'] == 1 < result['plain_reads']
    # Two programs a step, with one grid each.
    assert result['ahead_programs'] < 40


def test_a_random_llama_is_a_model(flags, tmp_path):
    """Its sizes are those asked for."""
    sizes = {'width': 48, 'layers': 3, 'heads': 3, 'kv_heads': 1}
    asked = [f'--{key}={value}' for key, value in sizes.items()]
    made = [flags[0], *asked, '--mlp_width=96', str(tmp_path / 'llama')]
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks.random_llama', *made],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = source.read_config(tmp_path / 'llama')
    found = config.width, config.num_layers, config.num_heads
    assert (*found, config.num_kv_heads) == tuple(sizes.values())
    assert config.mlp_width == 96 and config.head_dim == 16
    base = source.load(tmp_path / 'llama', jnp.bfloat16).base
    assert base['layers']['mlp']['up']['kernel'].shape == (3, 48, 96)


def test_generation(flags):
    sizes = ('--clients=2', '--examples=3', '--new_tokens=2')
    parts = '--parts=ours,no_prompt_cache'
    result = run('generation', *flags, *sizes, parts)
    assert result['queries'] == 6
    assert result['ours_queries_per_s'] > 0


def test_fewer_bits(flags):
    more = '--clients=2', '--examples=3', '--forms=float32,int8-bfloat16'
    result = run('quantization', *flags[:4], *more)
    exact = result.pop('float32')
    assert exact['divergence_nats'] == 0 and exact['same_token'] == 1
    sizes = source.read_config(flags[0].removeprefix('--model='))
    for form, found in result.items():
        assert 1e-4 < found['logits_error'] < 0.1
        assert found['target_tokens'] == exact['target_tokens']
        *kind, dtype = form.split('-')
        leaves = base_leaves(sizes, dtype, ''.join(kind)).values()
        held = sum(math.prod(x.shape) * x.dtype.itemsize for x in leaves)
        assert found['base_mb'] == pytest.approx(held / 1e6)
    assert len(result) == 1


def test_a_fingerprint(tmp_path):
    sizes = ('--gigabytes=0.05', '--shards=2', f'--cache_dir={tmp_path}')
    result = run('fingerprint', *sizes)
    assert 0 < result['second_s'] < result['first_s']
    assert not list(tmp_path.iterdir())


def test_memory_of_models_at_clients(tmp_path):
    sizes = ('--layers=2', '--width=64', '--heads=4', '--vocab=400')
    given = '--clients=3', f'--dir={tmp_path}', *sizes
    result = run('auxiliary_memory', *given)
    assert result['clients'] == 3
    kept = result['row_gb'] * 1e9 / 4
    # A model, and two moments of it and of the prefix.
    embedding, layer = 400 * 64 + 1024 * 64, 12 * 64**2
    assert kept > 3 * (embedding + layer) + 2 * 2 * 2 * 40 * 64
    first, second = result['rounds']
    assert first['bytes_once'] > 0 == second['bytes_once']
    assert not list(tmp_path.iterdir())


def test_an_accelerator(flags, tmp_path):
    """Every kind of part has rows, and the second call measures nothing."""
    parts = '--only=parity|timeline|cohort|generation'  # PyTorch is not here
    asked = '--scale=tiny', f'--out={tmp_path}', parts
    given = [flag for flag in flags if not flag.startswith('--repeats')]
    result = run('accelerator', *given, *asked)
    assert result['device'] == 'cpu'
    rows = {(row['part'], row['what']): row for row in result['rows']}
    assert not [row for row in rows.values() if 'error' in row]
    for (part, what), row in rows.items():
        if part.startswith('parity'):
            # Here the device is the CPU, and the reference XLA's attention.
            f32 = not what.startswith('bf16')
            if not f32:
                assert row['largest_error'] > 0
            elif part.endswith('by xla'):
                assert row['largest_error'] == 0
            assert row['relative_error'] < (1e-5 if f32 else 0.1)
        else:
            assert row['seconds'] >= 0
    packed = rows['cohort float32', 'step']
    assert packed['tokens_per_s'] > 0 and 0 < packed['mfu'] < 1
    assert 0 < packed['floor_s'] <= packed['planned_s']
    assert packed['temporary_gb'] > 0
    assert rows['generation float32', 'losses']['tokens_per_s'] > 0
    spent = {what: row for (part, what), row in rows.items() if 'note' in row}
    assert {'packing', 'waiting', 'one gradient: MLP'} < set(spent)
    assert run('accelerator', *given, *asked) == result


def test_an_accelerator_is_known_by_its_name():
    for kind, name in {
        'cpu': 'cpu',
        'NVIDIA H100 80GB HBM3': 'h100',
        'NVIDIA H200': 'h200',
        'TPU v5 lite': 'v5e',
        'TPU v5p': 'v5p',
        'TPU v6 lite': 'v6e',
    }.items():
        assert accelerator_session.chip_name(kind, chips.CHIPS) == name
    with pytest.raises(ValueError, match=r'no chip for .*l40s'):
        accelerator_session.chip_name('NVIDIA L40S', chips.CHIPS)


def test_where_the_time_of_a_step_goes(flags):
    shape = '--rows=4', '--length=64', '--targets=32'
    result = run('profile_step', *flags, *shape, '--clients=2', '--batch=2')
    parts = {row['part']: row for row in result['parts']}
    assert sum(row['share'] for row in parts.values()) == pytest.approx(1)
    for part in ('MLP', 'attention scores', 'logits and loss'):
        assert parts[part]['forward_ms'] > 0
        assert parts[part]['backward_ms'] > 0
    alone = {row.pop('product'): row for row in result['products']}
    assert {'layers/mlp/gate', 'layers/attention/key'} < set(alone)
    sizes = source.read_config(flags[0].removeprefix('--model='))
    kernels = [p for p in param_shapes(sizes) if p.endswith('/kernel')]
    assert len(alone) == len(kernels) + 1  # the vocabulary is the embeddings
    assert all(value > 0 for row in alone.values() for value in row.values())


def test_points_to_compile_are_runs_on_slices():
    points = compile_points.points()
    assert len({point.name for point in points}) == len(points)
    for point in points:
        config = fedavg_adam.get_config(point.scale)
        config.update_from_flattened_dict(point.changes)
        config_lib.check(config, files=False)
        found = math.prod(map(int, point.slice_.split('x')))
        assert config.mesh.data * config.mesh.model == found, point.name
        assert point.model in ('', *compile_points.MODELS)
    for fields in compile_points.MODELS.values():
        families.model_config(fields)


def test_a_table_of_compiled_programs(tmp_path):
    """Rows that are there are not compiled again, and faults are shown."""
    row = {
        'point': 'quickstart prompt 1', 'chip': 'v5p', 'name': 'scoring',
        'seconds': 1.5, 'arguments': 2e9, 'temporaries': 1e9, 'peak': 3e9,
        'flops': 4e12, 'bytes': 5e9, 'sent': {'all-reduce': [2, 6e6]},
        'planned': {'flops': None}, 'fault': '', 'broken': [], 'fits': True,
    }  # fmt: skip
    path = tmp_path / 'rows.jsonl'
    path.write_text(json.dumps(row) + '\n')
    asked = '--only=^quickstart prompt 1$', f'--out={path}'
    assert run('compile', *asked) == {'rows': [row]}
    path.write_text(json.dumps(row | {'broken': ['It is slow.']}) + '\n')
    command = [sys.executable, '-m', 'benchmarks.compile', *asked]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and 'breaks a law' in done.stderr
    assert 'scoring: It is slow.' in done.stdout
    cells = '1.5 | 2.000 | 1.000 | 3.000 | 4.000 |  | 5.000 | 6.0 |'
    assert cells in done.stdout


def test_more_devices(flags):
    result = run('scaling', *flags, '--clients=2', '--batch=2', '--devices=1,2')
    assert result['1 devices']['collectives'] == []
    for name in ('2 devices', 'two processes'):
        assert result[name]['tokens_per_s'] > 0
        (only,) = result[name]['collectives']  # the bank's gradient
        assert only.endswith(' all-reduce')


def test_populations():
    found = run('population', '--clients=40,1000', '--rounds=1')['runs']
    assert [r['clients'] for r in found] == [40, 1000]


def test_control_variates_end_nearer_than_the_plain_mean():
    flags = ('--rounds=40', '--seeds=1', '--dimensions=5')
    (table,) = run('fedpeptao_servers', *flags).values()
    for row in table.values():
        assert row['fedpeptao, beta 0'] < row['FedAvg']
