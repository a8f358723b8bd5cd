"""What the text of a compiled program says, against XLA and by hand."""

import jax
import jax.numpy as jnp
import pytest

from fedprompt_jax.planning import counts, hlo, origins

# A loop of 7 rounds, which a TPU's text does not say, in one of at most 4 - 1.
TEXT = """HloModule m, is_scheduled=true, input_output_alias={ {0}: (0, {}) }

%sliced (whole: f32[9,8,4], at: s32[]) -> f32[8,4] {
  %whole = f32[9,8,4]{2,1,0:T(8,128)} parameter(0)
  %at = s32[]{:T(128)S(6)} parameter(1)
  %c = s32[]{:T(128)} constant(0)
  %part = f32[1,8,4]{2,1,0:T(8,128)} dynamic-slice(%whole, %at, %c, %c), dynamic_slice_sizes={1,8,4}
  ROOT %flat = f32[8,4]{1,0:T(8,128)} bitcast(%part)
}

%product (x: bf16[2,8], whole.2: f32[9,8,4], at.2: s32[]) -> f32[2,4] {
  %x = bf16[2,8]{1,0:T(8,128)(2,1)} parameter(0)
  %whole.2 = f32[9,8,4]{2,1,0:T(8,128)} parameter(1)
  %at.2 = s32[]{:T(128)S(6)} parameter(2)
  %fusion.1 = f32[8,4]{1,0:T(8,128)} fusion(%whole.2, %at.2), kind=kLoop, calls=%sliced
  ROOT %conv = f32[2,4]{1,0:T(8,128)} convolution(%x, %fusion.1), dim_labels=bf_io->bf, metadata={op_name="jit(f)/layer/dot"}
}

%put (kept: f32[9,2,4], new: f32[2,4], at.3: s32[]) -> (f32[9,2,4], f32[2,4]) {
  %kept = f32[9,2,4]{2,1,0} parameter(0)
  %new = f32[2,4]{1,0} parameter(1)
  %at.3 = s32[] parameter(2)
  %c.3 = s32[] constant(0)
  %one = f32[1,2,4]{2,1,0} bitcast(%new)
  %kept.2 = f32[9,2,4]{2,1,0} dynamic-update-slice(%kept, %one, %at.3, %c.3, %c.3)
  ROOT %both = (f32[9,2,4]{2,1,0}, f32[2,4]{1,0}) tuple(%kept.2, %new)
}

%inner (state: (s32[], f32[2,4], s32[])) -> (s32[], f32[2,4], s32[]) {
  %state = (s32[], f32[2,4]{1,0:T(8,128)S(1)}, s32[]) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %y = f32[2,4]{1,0:T(8,128)S(1)} get-tuple-element(%state), index=1
  %end = s32[] get-tuple-element(%state), index=2
  %sum = f32[2,4]{1,0:T(8,128)} all-reduce-start(%y), to_apply=%add
  %sum.2 = f32[2,4]{1,0:T(8,128)} all-reduce-done(%sum)
  %kernel = f32[2,4]{1,0} custom-call(%sum.2), custom_call_target="tpu_custom_call", frontend_attributes={kernel_metadata={
"tokens":"128"
}}, metadata={op_name="jit(f)/kernel"}
  %moved = f32[2,4]{0,1} copy(%kernel), metadata={op_name="jit(f)/moved"}
  ROOT %next = (s32[], f32[2,4]{1,0}, s32[]) tuple(%i, %moved, %end)
}

%inner_ends (state.2: (s32[], f32[2,4], s32[])) -> pred[] {
  %state.2 = (s32[], f32[2,4]{1,0}, s32[]) parameter(0)
  %i.2 = s32[] get-tuple-element(%state.2), index=0
  %end.2 = s32[] get-tuple-element(%state.2), index=2
  ROOT %less = pred[] compare(%i.2, %end.2), direction=LT
}

%outer (given: (s32[], f32[2,4], f32[9,8,4])) -> (s32[], f32[2,4], f32[9,8,4]) {
  %given = (s32[], f32[2,4]{1,0}, f32[9,8,4]{2,1,0}) parameter(0)
  %j = s32[] get-tuple-element(%given), index=0
  %z = f32[2,4]{1,0} get-tuple-element(%given), index=1
  %zero = s32[] constant(0)
  %zero.2 = s32[] copy(%zero)
  %seven = s32[] constant(7)
  %start = (s32[], f32[2,4]{1,0}, s32[]) tuple(%zero.2, %z, %seven)
  %loop = (s32[], f32[2,4]{1,0}, s32[]) while(%start), condition=%inner_ends, body=%inner
  %z.2 = f32[2,4]{1,0} get-tuple-element(%loop), index=1
  %w = f32[9,8,4]{2,1,0} get-tuple-element(%given), index=2
  ROOT %again = (s32[], f32[2,4]{1,0}, f32[9,8,4]{2,1,0}) tuple(%j, %z.2, %w)
}

%outer_ends (given.2: (s32[], f32[2,4], f32[9,8,4])) -> pred[] {
  %given.2 = (s32[], f32[2,4]{1,0}, f32[9,8,4]{2,1,0}) parameter(0)
  %j.2 = s32[] get-tuple-element(%given.2), index=0
  %four = s32[] constant(4)
  %yes = pred[] constant(true)
  %less.2 = pred[] compare(%j.2, %four), direction=LT
  ROOT %goes = pred[] and(%less.2, %yes)
}

ENTRY %main (a: bf16[2,8], b: f32[9,8,4], k: f32[9,2,4]) -> (f32[9,2,4], f32[2,4]) {
  %a = bf16[2,8]{1,0:T(8,128)(2,1)} parameter(0)
  %b = f32[9,8,4]{2,1,0:T(8,128)} parameter(1), metadata={op_name="b"}
  %k = f32[9,2,4]{2,1,0} parameter(2)
  %one.2 = s32[]{:T(128)S(6)} constant(1)
  %f = f32[2,4]{1,0:T(8,128)} fusion(%a, %b, %one.2), kind=kOutput, calls=%product, metadata={op_name="jit(f)/layer"}
  %begun = (s32[], f32[2,4]{1,0}, f32[9,8,4]{2,1,0}) tuple(%one.2, %f, %b)
  %loops = (s32[], f32[2,4]{1,0}, f32[9,8,4]{2,1,0}) while(%begun), condition=%outer_ends, body=%outer
  %r = f32[2,4]{1,0} get-tuple-element(%loops), index=1
  %all = f32[8,4]{1,0} all-gather(%r), dimensions={0}
  ROOT %out = (f32[9,2,4]{2,1,0}, f32[2,4]{1,0}) fusion(%k, %r, %one.2), kind=kLoop, calls=%put
}
"""  # noqa: E501


@pytest.fixture(scope='module')
def program():
    return hlo.parse(TEXT)


def test_each_computation_runs_as_often_as_its_loops(program):
    runs = program.runs()
    assert runs['main'] == runs['product'] == runs['sliced'] == 1
    assert runs['outer'] == 3 and runs['outer_ends'] == 4  # 1, 2, 3
    assert runs['inner'] == 3 * 7 and runs['inner_ends'] == 3 * 8


def test_what_a_program_computes_moves_and_sends(program):
    found = counts.count(program)
    assert found.flops == 2 * (2 * 4) * 8
    assert found.kernels == {'tpu_custom_call': 21}
    array = 2 * 4 * 4
    assert found.sent == {
        'all-reduce': (21, 21 * array),
        'all-gather': (1, 4 * array),
    }
    assert found.copies[0] == (21 * array, 'f32[2,4] of jit(f)/moved')
    # 1. Of the fusions, `a`, a slice of `b` and the product; and `r`, read
    # twice, the row that is replaced in `k`, and the copy of `r`.
    once = 2 * 8 * 2 + 8 * 4 * 4 + array + array + array + array
    # 2. The gather. 3. In the inner loop, the sum (its operand is beside the
    # arithmetic units), the kernel and the copy read and write an array.
    once += array + 4 * array
    loop = array + 2 * array + 2 * array
    # 4. Of the outer loop, its counter's copy; of comparisons, their numbers.
    little = 3 * 8 + 24 * 9 + 4 * 9 + 4 * 3
    assert found.bytes == pytest.approx(once + 21 * loop, abs=little)


def test_what_moves_the_most_bytes_comes_first(program):
    found = counts.count(program)
    array = 2 * 4 * 4
    by_name = {mover.what: mover for mover in found.movers}
    # The fusion is named after the product in it; it reads a row of `b`.
    once = 2 * 8 * 2 + 8 * 4 * 4 + array
    assert by_name['layer/dot'][:2] == (once, 1)
    assert by_name['moved'][:2] == (21 * 2 * array, 21)
    sizes = [mover.bytes for mover in found.movers]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) == found.bytes


BACKWARD = 'jit(f)/transpose(jvp(jit(g)))/Transformer.run/while/body/'


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('jit(f)/jvp(jit(g))/Transformer.logits/dot', 'dot'),
        (f'{BACKWARD}closed_call/layers/mlp/mul', 'backward: layers/mlp/mul'),
        (
            f'{BACKWARD}layers/mlp_norm/layers/mlp_norm/checkpoint/add_any',
            'backward: layers/mlp_norm/add_any',
        ),
        (
            f'{BACKWARD}checkpoint/rematted_computation/layers/attention/exp',
            'again: layers/attention/exp',
        ),
        ('jit(f)/attention/attention._split/query/dot', 'attention/query/dot'),
        ('jit(f)/jit(take)/rlkgh,rskh->rkgls/dot', 'rlkgh,rskh->rkgls/dot'),
        ('jit(f)/jvp(jit(g))', 'jit(f)/jvp(jit(g))'),
    ],
)
def test_names_of_jax_without_its_transformations(name, said):
    assert origins.short(name) == said


def test_the_largest_arrays_have_names(program):
    assert counts.largest(program, 2) == [
        (9 * 8 * 4 * 4, 'f32[9,8,4] of b'),
        (9 * 2 * 4 * 4, 'f32[9,2,4] of out'),
    ]


def test_names_of_operations():
    names = hlo.operation_names(TEXT)
    assert names['conv'] == 'jit(f)/layer/dot'
    assert names['f'] == 'jit(f)/layer'


def test_what_is_no_program_is_an_error():
    with pytest.raises(ValueError, match='not that of a compiled'):
        hlo.parse('nothing')


@pytest.mark.parametrize(
    ('text', 'sizes'),
    [
        ('f32[]', [4]),
        ('pred[8]', [8]),
        ('(bf16[2,3]{1,0}, s32[5]{0})', [12, 20]),
        ('u4[10]', [5]),
        ('f8e4m3fn[7]', [7]),
        ('c64[2]', [16]),
        ('token[]', [0]),
    ],
)
def test_bytes_of_arrays(text, sizes):
    assert [x.bytes for x in hlo.arrays(text)] == sizes


CONVOLUTIONS = {
    'plain': {},
    'strides': {'window_strides': (2, 3)},
    'padding': {'padding': ((2, 1), (0, 3))},
    'spread': {'lhs_dilation': (3, 2)},
    'apart': {'rhs_dilation': (2, 1)},
    'of a batch': {
        'window_strides': (3, 1), 'lhs_dilation': (4, 1),
    },
}  # fmt: skip


@pytest.mark.parametrize('name', CONVOLUTIONS)
def test_operations_of_a_convolution_are_those_that_xla_counts(name):
    given = {
        'window_strides': (1, 1),
        'padding': ((0, 0), (0, 0)),
    } | CONVOLUTIONS[name]
    program = jax.jit(lambda x, w: jax.lax.conv_general_dilated(x, w, **given))
    x = jax.ShapeDtypeStruct((2, 3, 9, 8), jnp.float32)
    w = jax.ShapeDtypeStruct((5, 3, 4, 2), jnp.float32)
    made = program.lower(x, w).compile()
    found = counts.count(hlo.parse(made.as_text()))
    assert found.flops == made.cost_analysis()['flops'] > 0


def test_a_scan_is_counted_as_often_as_it_runs():
    """XLA's own analysis counts it once."""

    def once(x, w):
        return jnp.einsum('bij,bjk->bik', x, w)

    def scan(x, w):
        return jax.lax.scan(lambda x, w: (once(x, w), None), x, w)[0]

    x = jax.ShapeDtypeStruct((3, 4, 5), jnp.float32)
    w = jax.ShapeDtypeStruct((7, 3, 5, 5), jnp.float32)
    one = jax.ShapeDtypeStruct(w.shape[1:], jnp.float32)
    counted = jax.jit(once).lower(x, one).compile().cost_analysis()['flops']
    made = jax.jit(scan).lower(x, w).compile().as_text()
    found = counts.count(hlo.parse(made))
    assert found.flops == 7 * counted == 7 * 2 * 3 * 4 * 5 * 5


def test_a_loop_that_may_end_early_counts_to_its_end():
    def loop(x):
        def goes(state):
            return (state[0] < 9) & (state[1].sum() > 0)

        return jax.lax.while_loop(
            goes, lambda s: (s[0] + 1, s[1] @ s[1]), (2, x)
        )

    x = jax.ShapeDtypeStruct((4, 4), jnp.float32)
    made = jax.jit(loop).lower(x).compile().as_text()
    assert counts.count(hlo.parse(made)).flops == 7 * 2 * 4**3
