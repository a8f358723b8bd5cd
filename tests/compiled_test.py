"""Programs that are compiled for other machines: figures, faults, laws."""

import importlib.util
import json
import math
import os
from pathlib import Path
import subprocess
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import pytest

from configs import fedavg_adam
from fedprompt_jax.mesh import make_mesh
from fedprompt_jax.models import source
from fedprompt_jax.models.sizes import base_leaves
from fedprompt_jax.planning import (
    chips,
    compiled,
    compiled_text,
    cost,
    expected,
    laws,
    plan,
    programs,
    topology,
)
from tests import main_test, tiny
from tests.exhaustive import exhaustive

ROOT = Path(__file__).parents[1]
CHIP = chips.Chip(1e9, {'float32': 2e9, 'bfloat16': 8e9}, 1e9, 0.5)
TINY = {
    'data.path': '/absent',
    'data.max_query': 100,
    'data.max_target': 8,
    'personalization.clients': 2,
    'evaluation.batch_size': 8,
    'evaluation.max_new_tokens': 3,
    'model.remat': True,
}


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('compiled')
    config = fedavg_adam.get_config()
    model = tiny.make_checkpoint(
        folder / 'model', width=64, num_layers=3, mlp_width=256
    )
    config.update_from_flattened_dict(TINY | {'model.source': str(model)})
    return config


@pytest.fixture(scope='module')
def found(config):
    """The programs of a tiny run, compiled for the CPU that is here."""
    mesh = make_mesh(1, 1, jax.devices('cpu')[:1])
    inputs = plan.read(config, (60, 3), Path('unused'))
    made = programs.of_run(config, inputs, mesh)
    return {
        name: compiled.compile_program(name, program, config, mesh)
        for name, program in made.items()
    }


def test_operations_are_those_that_are_planned(found, config):
    """XLA's program and the formulas of cost.py are two ways to count them."""
    for name in ('client gradient', 'prefill', 'decoding', 'scoring'):
        made = found[name]
        assert made.planned.flops == pytest.approx(made.flops, rel=0.15), name
    assert math.isnan(found['client step'].planned.flops)
    first, whole = found['prefill'], found['decoding']
    rows, length, _ = first.size
    sizes = source.read_config(Path(config.model.source))
    queries = cost.forward(sizes, rows, length, 1).flops
    assert first.planned.flops == queries  # and no step
    steps = whole.planned.flops - first.planned.flops
    assert steps == pytest.approx(whole.flops - first.flops, rel=0.01)


def test_memory_is_of_arguments_and_what_is_computed(found, config):
    base = 4 * 4 * 300 * 64  # a table alone
    for name in ('client gradient', 'decoding', 'scoring'):
        made = found[name]
        assert made.arguments > base and made.temporaries > 0
        assert made.peak >= made.arguments + made.temporaries
        assert made.seconds > 0 and not made.fault
    assert found['client step'].arguments < base
    gradient = found['client gradient']
    planned = gradient.planned.temporaries
    assert planned == pytest.approx(gradient.temporaries, rel=0.5)


def test_all_laws_hold_of_every_program(found):
    broken = {name: made.broken for name, made in found.items()}
    # On a CPU, and on no TPU, products read transposed weights and keys.
    for fault in broken.pop('decoding'):
        assert 'Each step of decoding does a transpose of' in fault
    assert broken == dict.fromkeys(broken, ())


def test_what_fsdp_gathers_is_planned_as_temporary(config):
    """The table and two layers' kernels, on chips that only divide rows."""
    mesh = {'data': 4, 'model': 1}
    found = {}
    for fsdp in (False, True):
        changed = config.copy_and_resolve_references()
        changed.mesh.update(mesh | {'fsdp': fsdp})
        inputs = plan.read(changed, (60, 3), Path('unused'))
        names = ('data', 'model')
        made = programs.of_run(
            changed, inputs, jax.sharding.AbstractMesh((4, 1), names)
        )
        gradient = made['client gradient']
        expects = expected.planned('client gradient', gradient, changed, mesh)
        found[fsdp] = expects.temporaries
    sizes = source.read_config(Path(config.model.source))
    leaves = base_leaves(sizes, 'float32')
    gathered = cost.gathered_bytes(leaves, mesh)
    assert gathered > 0 and found[True] == found[False] + gathered


def test_what_a_gradient_has_to_sum(config):
    """The losses of four owners, and of nobody, and their gradients."""
    inputs = plan.read(config, (60, 3), Path('unused'))
    mesh = make_mesh(1, 1, jax.devices('cpu')[:1])
    made = programs.of_run(config, inputs, mesh)
    on_data, on_both = {'data': 4, 'model': 1}, {'data': 4, 'model': 2}
    gradient, step = made['client gradient'], made['client step']
    owners, prompt = config.clients_per_round, 10 * 64
    asked = expected.summed('client gradient', gradient, on_data)
    assert asked == owners + 1 + owners * prompt
    assert expected.summed('client gradient', gradient, on_both) == 0
    assert expected.summed('client step', step, on_data) == 0


def test_a_roofline_by_hand():
    made = compiled.Compiled(
        'scoring', (2, 3, 4), 1.0, flops=4e9, bytes=1e9,
        sent={'all-gather': (2.0, 3e9), 'all-reduce': (1.0, 1e9)},
    )  # fmt: skip
    alone = {'bytes': 1.0, 'links': 0.0}
    assert made.floor(CHIP, 'float32') == {'operations': 2.0} | alone
    assert made.floor(CHIP, 'bfloat16') == {'operations': 0.5} | alone
    linked = CHIP._replace(links=1e9)
    assert made.floor(linked, 'float32')['links'] == 4.0
    lines = '\n'.join(compiled_text.report(made, linked, 'float32', []))
    shares = 'bound by links (operations 50%, bytes 25%, links 100%)'
    assert f'4000.000, {shares}' in lines


def test_a_step_of_decoding_is_what_comes_after_the_prefill():
    first = compiled.Compiled('prefill', (8, 16, 1), 1.0, flops=2e9, bytes=1e9)
    whole = first._replace(
        name='decoding', size=(8, 16, 5), flops=4e9, bytes=9e9
    )
    both = {'prefill': first, 'decoding': whole}
    seconds, tokens = compiled_text.decode_bound(both, CHIP, 'float32')
    assert seconds == 2.0 and tokens == 4.0  # bytes take longer
    sent = {
        'prefill': first._replace(sent={'all-gather': (1.0, 4e9)}),
        'decoding': whole._replace(sent={'all-gather': (5.0, 20e9)}),
    }
    linked = CHIP._replace(links=1e9)
    assert compiled_text.decode_bound(sent, linked, 'float32')[0] == 4.0
    assert math.isnan(compiled_text.decode_bound({}, CHIP, 'float32')[0])
    one = both | {'decoding': whole._replace(size=(8, 16, 1))}
    assert math.isnan(compiled_text.decode_bound(one, CHIP, 'float32')[1])


def test_what_is_printed_and_what_is_json(found, config):
    levers = ['take less']
    shown = compiled_text.text([*found.values()], config, CHIP, levers)
    for name in found:
        assert f'\n{name}' in f'\n{shown}'
    assert 'planned' in shown and 'tokens a second' in shown
    assert 'take less' not in shown
    rows = json.loads(json.dumps(compiled_text.as_json([*found.values()])))
    by_name = {row['name']: row for row in rows}
    assert by_name['decoding']['flops'] == found['decoding'].flops
    assert by_name['client step']['planned']['flops'] is None


def test_what_does_not_fit_is_said_with_its_largest_arrays():
    made = compiled.Compiled(
        'scoring',
        (2, 3, 4),
        1.0,
        arguments=1e9,
        temporaries=0.5e9,
        peak=1.5e9,
        flops=1.0,
        bytes=1.0,
        largest=((0.7e9, 'f32[5] of a table'),),
    )
    lines = '\n'.join(compiled_text.report(made, CHIP, 'float32', ['use int8']))
    assert 'needs 1.50 GB of a chip, 0.50 GB more' in lines
    assert 'use int8' in lines and '0.70 GB  f32[5] of a table' in lines
    large = CHIP._replace(memory=2e9)
    lines = compiled_text.report(made, large, 'float32', ['use int8'])
    assert 'int8' not in '\n'.join(lines)


def test_texts_are_written(found, tmp_path):
    compiled_text.write([*found.values()], tmp_path / 'texts')
    text = (tmp_path / 'texts' / 'client_gradient.hlo.txt').read_text()
    assert text == found['client gradient'].text and 'ENTRY' in text


@pytest.mark.parametrize(
    ('message', 'said'),
    [
        (
            'Ran out of memory in memory space hbm. Used 20.00G of 15.00G hbm.',
            'needs 21.47 GB of a chip, 5.37 GB more',
        ),
        (
            'required for HLO temporaries (24.30G) exceeds available HBM '
            '(15.75G).',
            'needs 26.09 GB of a chip, 9.18 GB more',
        ),
        ('Requires 2.0T, has 1.0T available.', '1099.51 GB more'),
        ('Requires 2.0M, has 1.0M available.', '0.00 GB more'),
        ('No such thing.\nMore.', 'does not compile it: No such thing.'),
    ],
)
def test_what_a_compiler_says_of_memory_is_a_sentence(
    message, said, config, monkeypatch
):
    """And the largest arrays are named that the program is given."""
    lowered = mock.Mock()
    lowered.compile.side_effect = jax.errors.JaxRuntimeError(message)
    monkeypatch.setattr(programs.Program, 'lower', lambda self: lowered)
    mesh = make_mesh(1, 1, jax.devices('cpu')[:1])
    whole = jax.NamedSharding(mesh, jax.P())
    args = {
        name: jax.ShapeDtypeStruct((size,), jnp.bfloat16, sharding=whole)
        for name, size in (('a', 5), ('b', 7), ('c', 1))
    }
    program = programs.Program(None, ('static', {'base': args}), (), False)
    made = compiled.compile_program('client step', program, config, mesh)
    assert said in made.fault
    assert made.largest[:2] == ((14, 'base/b'), (10, 'base/a'))
    lines = '\n'.join(compiled_text.report(made, CHIP, 'float32', ['use it']))
    assert said in lines and 'use it' in lines and 'TFLOP' not in lines


# Laws.


def broken(function, *args, **jitted):
    """What the laws say of a function, lowered and compiled."""
    lowered = jax.jit(function, **jitted).lower(*args)
    text = lowered.compile().as_text()
    return [*laws.lowered(lowered)], [*laws.compiled(lowered, text)]


X = jax.ShapeDtypeStruct((4,), jnp.float32)


def test_a_program_of_f32_alone_breaks_no_law():
    assert broken(lambda x: x + 1, X, donate_argnums=0) == ([], [])


def test_f64_breaks_a_law():
    with jax.enable_x64(True):
        x = jax.ShapeDtypeStruct((4,), jnp.float64)
        found = broken(lambda x: x + 1, x)
    assert found == (['It computes in f64.'],) * 2


def test_a_callback_breaks_a_law():
    def function(x):
        jax.debug.print('{}', x)
        return x

    before, after = broken(function, X)
    for (sentence,) in (before, after):
        assert 'exchanges arrays with the host' in sentence
        assert 'callback' in sentence


@pytest.mark.filterwarnings('ignore:Some donated buffers')
def test_a_donated_array_that_no_result_takes_breaks_a_law():
    before, after = broken(lambda x: x.sum(), X, donate_argnums=0)
    assert before == ['0 of 1 donated arrays may become a result.']
    assert after == ['0 of 1 donated arrays alias a result.']


SENT = """HloModule m

ENTRY %main (a: f32[4], b: f32[2,3]) -> f32[4] {{
  %a = f32[4]{{0}} parameter(0)
  %b = f32[2,3]{{1,0}} parameter(1)
{}
}}
"""
SUM = '  ROOT %s = (f32[4]{0}, f32[2,3]{1,0}) all-reduce(%a, %b), to_apply=%add'
GATHER = '  ROOT %g = f32[8]{0} all-gather(%a), dimensions={0}'


@pytest.mark.parametrize(
    ('lines', 'given', 'said'),
    [
        ([SUM], {'data': 2, 'summed': 10}, []),
        ([SUM], {'data': 2, 'summed': 9}, ['It sums 10 numbers']),
        ([SUM], {'data': 2}, []),  # no gradient
        ([SUM, SUM], {'data': 2, 'summed': 10}, ["['all-reduce', 'all-re"]),
        ([], {'data': 2, 'summed': 10}, ['It communicates by []']),
        ([], {'data': 1, 'summed': 10}, []),
        (
            [GATHER],
            {'data': 2, 'summed': 10},
            ['It gathers 1 arrays, such as g.', "by ['all-gather']"],
        ),
        ([GATHER, SUM], {'data': 2, 'summed': 10, 'fsdp': True}, []),
    ],
)
def test_what_a_gradient_may_send(lines, given, said):
    lines = [line.replace('%s =', f'%s{i} =') for i, line in enumerate(lines)]
    lowered = jax.jit(lambda x: x).lower(X)
    text = SENT.format('\n'.join(lines))
    found = [*laws.compiled(lowered, text, **given)]
    assert len(found) == len(said)
    for sentence, part in zip(found, said, strict=True):
        assert part in sentence


# A loop over tokens in which a loop over layers reads a kernel of 6 numbers. It
# is in the first fusion's result, on the chip, and so no copy in main memory.
STEPS = """HloModule m

%moves (p: f32[2,3]) -> f32[3,2] {{
  %p = f32[2,3]{{1,0}} parameter(0)
  ROOT %t = f32[3,2]{{1,0}} transpose(%p), dimensions={{1,0}}
}}

%picks (p.3: f32[4,2,3], i: s32[]) -> f32[3,2] {{
  %p.3 = f32[4,2,3]{{2,1,0}} parameter(0)
  %i = s32[] parameter(1)
  %zero = s32[] constant(0)
  %from = s32[] add(%i, %i)
  %one = f32[1,2,3]{{2,1,0}} dynamic-slice(%p.3, %from, %zero, %zero), dynamic_slice_sizes={{1,2,3}}
  %flat = f32[2,3]{{1,0}} bitcast(%one)
  ROOT %t.3 = f32[3,2]{{1,0}} transpose(%flat), dimensions={{1,0}}
}}

%adds (p.2: f32[2,3]) -> f32[2,3] {{
  %p.2 = f32[2,3]{{1,0}} parameter(0)
  %t.2 = f32[2,3]{{1,0}} copy(%p.2)
  ROOT %s = f32[2,3]{{1,0}} add(%t.2, %p.2)
}}

%layers (l: (s32[], f32[2,3])) -> (s32[], f32[2,3]) {{
  %l = (s32[], f32[2,3]{{1,0}}) parameter(0)
  %kernel = f32[2,3]{{1,0}} get-tuple-element(%l), index=1
{inside}
  ROOT %r = (s32[], f32[2,3]{{1,0}}) tuple(%l, %kernel)
}}

%steps (g: (s32[], f32[2,3])) -> (s32[], f32[2,3]) {{
  %g = (s32[], f32[2,3]{{1,0}}) parameter(0)
  ROOT %w = (s32[], f32[2,3]{{1,0}}) while(%g), condition=%c, body=%layers, metadata={{op_name="jit(greedy)/while/body/run/while"}}
}}

ENTRY %main (a: (s32[], f32[2,3])) -> (s32[], f32[2,3]) {{
  %a = (s32[], f32[2,3]{{1,0}}) parameter(0)
  %before = f32[2,3]{{0,1}} copy(%a)
  %prefill = (s32[], f32[2,3]{{1,0}}) while(%a), condition=%c, body=%{prefill}, metadata={{op_name="jit(greedy)/run/while"}}
  ROOT %out = (s32[], f32[2,3]{{1,0}}) while(%a), condition=%c, body=%{steps}, metadata={{op_name="jit(greedy)/while"}}
}}

%c (d: s32[]) -> pred[] {{
  %d = s32[] parameter(0)
  ROOT %less = pred[] compare(%d, %d), direction=LT
}}
"""  # noqa: E501


@pytest.mark.parametrize(
    ('inside', 'said'),
    [
        ('', ''),
        ('  %x = f32[2,3]{0,1} copy(%kernel)', 'a copy of 6 numbers: x.'),
        ('  %x = f32[3,2]{0,1} transpose(%kernel)', 'a transpose of 6'),
        ('  %x = f32[2,3]{0,1} all-gather(%kernel)', 'a gather of 6'),
        ('  %x = f32[2,3]{0,1:S(1)} copy(%kernel)', ''),  # beside the units
        ('  %x = f32[3]{0} copy(%kernel)', ''),  # not one of these arrays
        (
            '  %x = f32[3,2]{1,0} fusion(%kernel), kind=kLoop, calls=%moves',
            'a transpose of 6 numbers',
        ),
        (
            '  %x = f32[3,2]{1,0} fusion(%kernel), kind=kLoop, calls=%picks',
            'a transpose of 6 numbers',
        ),
        (
            '  %x = f32[2,3]{1,0} dynamic-slice(%kernel), '
            'dynamic_slice_sizes={2,3}',
            '',
        ),
        ('  %x = f32[2,3]{1,0} fusion(%kernel), kind=kLoop, calls=%adds', ''),
    ],
)
def test_what_a_step_of_decoding_may_move(inside, said):
    lowered = jax.jit(lambda x: x).lower(X)
    text = STEPS.format(inside=inside, prefill='layers', steps='steps')
    found = [*laws.compiled(lowered, text, read_by_steps={6})]
    assert len(found) == bool(said) and said in ''.join(found)
    assert not [*laws.compiled(lowered, text)]  # of another program
    elsewhere = text.replace('jit(greedy)/while/body/', 'jit(greedy)/')
    assert not [*laws.compiled(lowered, elsewhere, read_by_steps={6})]


# Slices.


@pytest.fixture
def installed(monkeypatch):
    """libtpu and the CUDA plugin seem to be installed."""
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)


@pytest.mark.parametrize(
    ('chip', 'slice_', 'count'),
    [
        ('v5p', '4x4x4', 64),
        ('v5e', '2x2', 4),
        ('v6e', '1', 1),
        ('h100', '8', 8),
    ],
)
def test_a_slice_has_so_many_chips(installed, chip, slice_, count):
    assert topology.check(chip, slice_) == count


@pytest.mark.parametrize(
    ('chip', 'slice_', 'said'),
    [
        ('v5p', '4x4', 'no slice of v5p; use 1 or 3 number(s), such as 4x4x4'),
        ('v5e', '2x2x1', 'such as 4x4'),
        ('h100', '2x2', 'such as 8'),
        ('a100', '1', '--chip=a100 has no compiler here; use one of v4, v5e'),
    ],
)
def test_other_slices_are_faults(installed, chip, slice_, said):
    with pytest.raises(ValueError) as error:
        topology.check(chip, slice_)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ('chip', 'extra'), [('v5e', 'tpu-compile'), ('h100', 'cuda')]
)
def test_a_missing_compiler_is_named_with_its_extra(monkeypatch, chip, extra):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ValueError, match=rf"pip install '\.\[{extra}\]'"):
        topology.check(chip, '1')


def test_a_slice_that_a_compiler_does_not_know_is_a_fault(monkeypatch):
    from jax.experimental import topologies

    error = jax.errors.JaxRuntimeError('INVALID: v5p:3x3x3\nand more')
    refuse = mock.Mock(side_effect=error)
    monkeypatch.setattr(topologies, 'get_topology_desc', refuse)
    for name in (*topology.TPU_ENVIRONMENT, 'TPU_ACCELERATOR_TYPE'):
        monkeypatch.setenv(name, '')  # and so taken back behind the test
    with pytest.raises(ValueError) as found:
        topology.devices('v5p', '3x3x3')
    assert '--topology=3x3x3: the compiler for v5p' in str(found.value)
    assert 'INVALID: v5p:3x3x3' in str(found.value)
    assert 'and more' not in str(found.value)
    assert refuse.call_args.kwargs['topology_name'] == 'v5p:3x3x3'


@pytest.mark.parametrize(
    ('chip', 'slice_', 'count'), [('v5p', '1', 1), ('v5p', '2x2x1', 4)]
)
def test_one_chip_is_the_first_of_the_smallest_slice(
    chip, slice_, count, monkeypatch
):
    from jax.experimental import topologies

    made = mock.Mock(return_value=mock.Mock(devices=[0, 1, 2, 3]))
    monkeypatch.setattr(topologies, 'get_topology_desc', made)
    monkeypatch.setattr(topology, 'prepare', lambda chip: None)
    assert topology.devices(chip, slice_) == [*range(count)]
    assert made.call_args.kwargs == {
        'platform': 'tpu',
        'topology_name': 'v5p:2x2x1',
        'chip_config_name': 'megacore',
    }


@exhaustive
@pytest.mark.skipif(
    importlib.util.find_spec('libtpu') is None, reason='needs libtpu'
)
def test_a_slice_of_tpus_compiles(config):
    """One all-reduce on a data mesh, and no gather."""
    flags = [
        f'--config.{key}={value}'
        for key, value in (TINY | {'model.source': config.model.source}).items()
    ]
    done = subprocess.run(
        [
            sys.executable, '-m', 'fedprompt_jax.planning', '--compile',
            '--config=configs/fedavg_adam.py', '--chip=v5e', '--topology=2x2',
            '--config.mesh.data=4', '--programs=gradient|scoring', '--json',
            *flags,
        ],
        cwd=ROOT,
        env=main_test.environment() | os.environ,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout.splitlines()[-1])['programs']
    gradient, scoring = rows
    assert gradient['sent'].keys() == {'all-reduce'}
    assert gradient['sent']['all-reduce'][0] == 1 and not scoring['sent']
    for row in rows:
        assert not row['broken'] and not row['fault']
        assert row['flops'] == pytest.approx(row['planned']['flops'], rel=0.3)
