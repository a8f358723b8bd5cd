"""Auxiliary models: layers that are stored once and repeated.

The law: a model whose cell of m layers is repeated is the ordinary model that
has the cell's parameters L / m times one after the other.
"""

from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank import layer_states, modules
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.bank.kind import Kind, ModelInfo, Start
from fedprompt_jax.bank.whole_and_prompt import WholeAndPrompt
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.mesh import Gather, make_mesh
from fedprompt_jax.models import auxiliary, families, sizes
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.full import Full
from fedprompt_jax.peft.lora import LoRA
from fedprompt_jax.peft.lpt import LatePrompt
from fedprompt_jax.peft.prefix import Prefix
from fedprompt_jax.planning import cost
from fedprompt_jax.planning.chips import CHIPS
from tests import plain, plain_kinds, tiny, tiny_families
from tests.exhaustive import beyond, exhaustive

DEPTH, START, SIZE = 4, 1, 2
TIMES = DEPTH // SIZE
LOCAL, GLOBAL = 'sliding_attention', 'full_attention'
DECODERS = [
    name
    for name, fields in tiny_families.CONFIGS.items()
    if fields['model_type'] not in ('roberta', 't5')
]


class Pair(NamedTuple):
    """A model of a cell, and the ordinary one that it must equal."""

    cell: ModelConfig
    stored: Any
    full: ModelConfig
    tiled: Any


def fields_of(name: str) -> dict[str, Any]:
    """A family's config.json of DEPTH layers.

    Repetitions differ in which of their layers are local.
    """
    fields = tiny_families.CONFIGS[name] | {'vocab_size': tiny.VOCAB_SIZE}
    fields |= {'bos_token_id': 1, 'eos_token_id': 2, 'pad_token_id': 3}
    fields['n_layer' if 'n_layer' in fields else 'num_hidden_layers'] = DEPTH
    if 'layer_types' in fields:
        fields['layer_types'] = [LOCAL, LOCAL, GLOBAL, LOCAL]
    return fields


def make(name: str) -> Pair:
    """The pair of a family, its parameters random."""
    full = families.model_config(fields_of(name))
    rng = np.random.default_rng(len(name))
    flat = {
        path: jnp.asarray(
            rng.normal(path.endswith('scale'), 0.15, shape), jnp.float32
        )
        for path, shape in sizes.param_shapes(full).items()
    }
    base = flax.traverse_util.unflatten_dict(flat, sep='/')
    stored = auxiliary.params(base, START, SIZE)
    cell = auxiliary.config(full, START, SIZE, shared=True)
    tiled = jax.tree.map(
        lambda x: jnp.concatenate([x] * TIMES), stored['layers']
    )
    return Pair(cell, stored, full, stored | {'layers': tiled})


@pytest.fixture(scope='module', params=beyond(['gemma2'], ['gpt2', 'gemma2']))
def pair(request) -> Pair:
    return make(request.param)


def over_uses(tiled: Any) -> Any:
    """The tree of the tiled model with each layer's uses added up."""
    layers = jax.tree.map(
        lambda x: x.reshape(TIMES, SIZE, *x.shape[1:]).sum(axis=0),
        tiled['layers'],
    )
    return tiled | {'layers': layers}


def assert_close(ours, theirs, tolerance=1e-5):
    """Trees differ by at most that share of the whole norm."""
    ours, theirs = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(t)])
        for t in (ours, theirs)
    )
    norm = np.linalg.norm(theirs)
    assert norm > 0
    assert np.linalg.norm(ours - theirs) < tolerance * norm


def logits_and_gradient(config, params, remat=False):
    """Logits of two rows, and the gradient of a random sum of them."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(5, 290, (2, 9)).astype(np.int32)
    share = rng.normal(size=(2, 9, tiny.VOCAB_SIZE)).astype(np.float32)

    @jax.jit
    def both(params):
        def call(params):
            model = Transformer(config, remat)
            return model.apply({'params': params}, tokens)

        logits, pull = jax.vjp(call, params)
        return logits, *pull(share)

    return both(params)


@pytest.mark.parametrize('name', beyond(('gemma3', 'gpt2'), DECODERS))
def test_a_cell_is_the_model_that_has_it_several_times(name):
    pair = make(name)
    logits, grad = logits_and_gradient(pair.cell, pair.stored)
    expected, of_each = logits_and_gradient(pair.full, pair.tiled)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-6)
    assert_close(grad, over_uses(of_each))


def test_one_layer_is_repeated(pair):
    one = auxiliary.config(pair.full, 2, 1, shared=True)
    stored = auxiliary.params(pair.tiled, 2, 1)
    tiled = jax.tree.map(
        lambda x: jnp.concatenate([x] * DEPTH), stored['layers']
    )
    got = logits_and_gradient(one, stored)[0]
    full = logits_and_gradient(pair.full, stored | {'layers': tiled})[0]
    np.testing.assert_allclose(got, full, rtol=0, atol=1e-6)


def test_recomputed_layers_have_the_same_gradient(pair):
    got = logits_and_gradient(pair.cell, pair.stored, remat=True)
    assert_close(got, logits_and_gradient(pair.cell, pair.stored))


@pytest.mark.parametrize('remat', [False, True])
def test_the_backward_pass_keeps_no_copies_of_parameters(pair, remat):
    """Else a cell would need the memory of all the layers it stands for."""

    def loss(params):
        tokens = jnp.ones((1, 5), jnp.int32)
        model = Transformer(pair.cell, remat)
        return model.apply({'params': params}, tokens).sum()

    program = str(jax.make_jaxpr(jax.grad(loss))(pair.stored))
    kernel = pair.stored['layers']['mlp']['up']['kernel'].shape
    assert 'f32[{},{},{}]'.format(*kernel) in program
    for copies in ((TIMES, *kernel), (DEPTH, *kernel[1:])):
        assert f'f32[{",".join(map(str, copies))}]' not in program


def test_a_new_model_has_the_cell_s_layers_alone(pair):
    tokens = jnp.ones((1, 2), jnp.int32)
    key = jax.random.key(0)
    new = jax.jit(Transformer(pair.cell).init)(key, tokens)['params']
    assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, pair.stored)


def make_kind(name: str, config: ModelConfig) -> Kind:
    """A kind for models of this config."""
    if name == 'prefix':  # layers differ in length, and one has none
        heads, size = config.num_kv_heads, config.head_dim
        return Prefix((3, 2, 3, 0), heads, size, scale=0.5)
    if name == 'late':
        return LatePrompt(3, 1, config.width)
    names = families.names(fields_of('gpt2'))
    info = ModelInfo(config, names, sizes.param_shapes(config))
    return LoRA(modules.find(info, 'attention/qkv', ''), 2, 4)


def make_bank(kind: Kind, owners: int = 2):
    """Parameters of each owner, none of them zero."""
    rng = np.random.default_rng(1)
    own = [kind.init(Start(rng, None, lambda text: [])) for _ in range(owners)]
    bank = jax.tree.map(lambda *x: jnp.stack(x), *own)
    return jax.tree.map(lambda x: x + rng.normal(0, 0.1, x.shape), bank)


def gradients(config, params, kind, bank, **parts):
    """Losses and gradients of the owners on a packed grid."""
    model = TunedModel(Transformer(config, **parts), kind)
    examples = plain.random_examples(np.random.default_rng(2), (3, 3))
    packer = model.packer(Shape(96, 48, (2,)))
    (grid,) = packer.pack(examples, [1.0] * len(examples))
    return grid_gradients(model, params, bank, grid)


@pytest.mark.parametrize('name', ['prefix', 'late', 'lora'])
def test_what_is_trained_is_of_each_repetition(name):
    pair = make('gpt2')
    kind = make_kind(name, pair.cell)
    assert kind == make_kind(name, pair.full)
    bank = make_bank(kind)
    expected = gradients(pair.full, pair.tiled, kind, bank)
    for remat in (False, True):
        got = gradients(pair.cell, pair.stored, kind, bank, remat=remat)
        assert_close(got, expected)
    if name == 'prefix':  # of one stored layer, and yet not the same
        first, again = (expected[1]['prefix'][k] for k in ('00', '02'))
        assert np.abs(first - again).max() > 0.1 * np.abs(first).max()


def test_gathered_parameters_are_read_in_every_repetition(pair):
    kind = make_kind('prefix', pair.cell)
    args = pair.cell, pair.stored, kind, make_bank(kind)
    gathered = gradients(*args, gather=Gather(make_mesh(1, 1)))
    assert_close(gathered, gradients(*args))


def test_states_are_of_each_repetition(pair):
    examples = plain.random_examples(np.random.default_rng(2), (3,))
    got, expected = (
        layer_states.layer_states(Transformer(c), params, examples, 24)
        for c, params in ((pair.cell, pair.stored), (pair.full, pair.tiled))
    )
    assert len(got) == DEPTH
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def generated(config, params, kind, bank, queries):
    """Greedy texts of five tokens."""
    generator = Generator(
        TunedModel(Transformer(config), kind),
        params,
        eos_ids=(299,),
        max_new_tokens=5,
        batch_size=3,
        place_rows=plain.same,
    )
    return generator(bank, queries)


@exhaustive
def test_greedy_texts_are_the_likeliest_tokens_of_whole_passes(pair):
    """Texts are longer than the window, and prefixes differ by layer."""
    kind = make_kind('prefix', pair.cell)
    bank = make_bank(kind)
    examples = plain.random_examples(np.random.default_rng(4), (2, 2))
    queries = [Query(e.owner, e.query) for e in examples]
    texts = generated(pair.cell, pair.stored, kind, bank, queries)
    model = TunedModel(Transformer(pair.full), kind)
    for e, text in zip(examples, texts, strict=True):
        own = jax.tree.map(lambda x, e=e: x[e.owner], bank)
        forced = e._replace(target=np.asarray(text))
        rows = plain_kinds.target_logits(model, pair.tiled, own, forced)
        np.testing.assert_array_equal(rows.argmax(axis=-1), text)


GPT2_XL = {
    'model_type': 'gpt2',
    'vocab_size': 50257,
    'n_embd': 1600,
    'n_layer': 48,
    'n_head': 25,
    'n_positions': 1024,
}
OPT = {
    'model_type': 'opt',
    'vocab_size': 50272,
    'hidden_size': 2048,
    'ffn_dim': 8192,
    'num_hidden_layers': 24,
    'num_attention_heads': 32,
    'max_position_embeddings': 2048,
    'word_embed_proj_dim': 2048,
    'do_layer_norm_before': True,
    'activation_function': 'relu',
    'bos_token_id': 2,
    'eos_token_id': 2,
    'pad_token_id': 1,
}


@pytest.mark.parametrize(
    ('fields', 'full', 'one'),
    [
        (GPT2_XL, 1_557_611_200, 112_793_600),
        (OPT, 1_315_758_080, 157_517_824),
    ],
)
def test_the_sizes_of_fedsp_s_models(fields, full, one):
    model = families.model_config(fields)
    assert sizes.num_params(model) == full
    for shared in (True, False):
        small = auxiliary.config(model, 0, 1, shared)
        assert sizes.num_params(small) == one
        leaves = sizes.base_leaves(small, jnp.bfloat16)
        mesh = {'data': 1, 'model': 1}
        assert cost.base_bytes(leaves, mesh) == 2 * one


def test_work_is_that_of_the_full_depth_and_memory_that_of_the_cell(pair):
    assert cost.forward(pair.cell, 2, 9, 3) == cost.forward(pair.full, 2, 9, 3)
    mesh = {'data': 1, 'model': 1}
    cell, full = (
        sizes.base_leaves(c, jnp.float32) for c in (pair.cell, pair.full)
    )
    assert cost.base_bytes(cell, mesh) < cost.base_bytes(full, mesh)
    # A step of decoding reads each layer as often as tokens pass it.
    chip = next(iter(CHIPS.values()))
    steps = [
        cost.decode_seconds(c, leaves, 1, 8, chip, 'float32', mesh)
        for c, leaves in ((pair.cell, cell), (pair.full, full))
    ]
    assert steps[0] == pytest.approx(steps[1])


@pytest.mark.parametrize('name', ['gpt2', 'gemma2'])
def test_without_sharing_it_is_the_layers_alone(name):
    full = families.model_config(fields_of(name))
    alone = auxiliary.config(full, START, SIZE, shared=False)
    assert (alone.num_layers, alone.cell) == (SIZE, 0)
    if name == 'gemma2':
        assert alone.local_layers == (True, False)
    base = jax.eval_shape(
        Transformer(full).init, jax.random.key(0), jnp.ones((1, 1), int)
    )['params']
    cut = jax.eval_shape(lambda p: auxiliary.params(p, START, SIZE), base)
    flat = flax.traverse_util.flatten_dict(cut, sep='/')
    shapes = {path: x.shape for path, x in flat.items()}
    assert shapes == sizes.param_shapes(alone)


def test_what_is_cut_out_is_the_full_model_s():
    base = {
        'embed': jnp.arange(3),
        'layers': {'a': jnp.arange(10).reshape(5, 2)},
    }
    cut = auxiliary.params(base, 1, 3)
    assert cut['layers']['a'].tolist() == [[2, 3], [4, 5], [6, 7]]
    assert cut['embed'] is base['embed']
    assert base['layers']['a'].shape == (5, 2)


@pytest.mark.parametrize(
    ('start', 'size', 'shared', 'message'),
    [
        (3, 2, False, '2 layers from layer 3, but the model has layers 0 to 3'),
        (-1, 2, False, 'from layer -1'),
        (0, 0, True, 'asks for 0 layers'),
        (0, 3, True, r'no multiple of 3; use a size of \[1, 2, 4\]'),
    ],
)
def test_no_auxiliary_model(pair, start, size, shared, message):
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(auxiliary.fault(pair.full, start, size, shared))


def test_which_models_have_an_auxiliary_model(pair):
    assert auxiliary.fault(pair.full, 2, 2, True) == ''
    assert auxiliary.fault(pair.full, 1, 2, False) == ''
    assert 'means' in auxiliary.fault(pair.full, 0, 3, False)
    for name in ('roberta', 't5'):
        ids = {'vocab_size': 300, 'pad_token_id': 3}
        other = families.model_config(tiny_families.CONFIGS[name] | ids)
        assert other.objective in auxiliary.fault(other, 0, 1, True)
    with pytest.raises(ValueError, match='num_layers=4 is no multiple of cell'):
        auxiliary.config(pair.full, 0, 3, shared=True)


def deep_prefix(layers: int):
    """A prefix of that many layers; the tree's order is not by number."""
    rng = np.random.default_rng(layers)
    rows = {f'{i:02d}': rng.normal(size=(3, 2, 2, 4)) for i in range(layers)}
    return {'prefix': dict(sorted(rows.items()))}


@pytest.mark.parametrize(('layers', 'size'), [(4, 1), (6, 3), (102, 2)])
def test_prefixes_between_depths(layers, size):
    deep = deep_prefix(layers)['prefix']
    mean = auxiliary.mean_over_layers({'prefix': deep}, size)
    each = layers // size
    for group in range(size):
        own = [deep[f'{group * each + i:02d}'] for i in range(each)]
        np.testing.assert_allclose(
            mean['prefix'][f'{group:02d}'], np.mean(own, axis=0), atol=1e-6
        )
    again = auxiliary.repeat_over_layers(mean, layers)['prefix']
    assert again.keys() == deep.keys()
    for layer in range(layers):
        np.testing.assert_array_equal(
            again[f'{layer:02d}'], mean['prefix'][f'{layer // each:02d}']
        )


def test_prefixes_that_have_no_such_groups():
    with pytest.raises(ValueError, match='4 layers has no 3 groups'):
        auxiliary.mean_over_layers(deep_prefix(4), 3)
    with pytest.raises(ValueError, match='5 layers are no multiple of .* 2'):
        auxiliary.repeat_over_layers(deep_prefix(2), 5)


@exhaustive
@pytest.mark.parametrize('trains', ['model', 'prompt', 'both'])
def test_a_model_or_its_prompt_or_both_train(pair, trains):
    prefix = make_kind('prefix', pair.cell)
    kind = WholeAndPrompt(prefix, trains)
    prompts, whole = (
        make_bank(prefix, 1),
        jax.tree.map(lambda x: x[None], pair.stored),
    )
    start = Start(np.random.default_rng(0), None, lambda t: [], pair.stored)
    assert jax.tree.structure(kind.init(start)['model']) == jax.tree.structure(
        pair.stored
    )
    # What the base holds does not matter: the model is the bank's.
    other = jax.tree.map(jnp.zeros_like, pair.stored)
    bank = {'model': whole, 'prompt': prompts}
    examples = (3,)
    losses, grads = alone(pair.cell, other, kind, bank, examples)
    expected, of_prompt = alone(
        pair.cell, pair.stored, prefix, prompts, examples
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    if trains == 'model':
        assert all(not x.any() for x in jax.tree.leaves(grads['prompt']))
    else:
        assert_close(grads['prompt'], of_prompt)
    if trains == 'prompt':
        assert all(not x.any() for x in jax.tree.leaves(grads['model']))
        return

    # One step down the model's gradient lowers the loss by its squared norm.
    def loss(step):
        moved = jax.tree.map(
            lambda x, g: x - step * g[0], pair.stored, grads['model']
        )
        value, _ = alone(pair.cell, moved, prefix, prompts, examples)
        return float(value[0])

    norm = sum(float((g**2).sum()) for g in jax.tree.leaves(grads['model']))
    step = 1e-2 / norm
    assert (loss(-step) - loss(step)) / (2e-2) == pytest.approx(1, rel=0.05)


def alone(config, params, kind, bank, counts):
    """Losses and gradients of a bank of one."""
    model = TunedModel(Transformer(config), kind)
    examples = plain.random_examples(np.random.default_rng(2), counts)
    (grid,) = model.packer(Shape(96, 48, (2,))).pack(examples, [1.0, 1.0, 1.0])
    return grid_gradients(model, params, bank, grid)


def test_a_model_and_its_prompt_write_what_the_prompt_does(pair):
    prefix = make_kind('prefix', pair.cell)
    prompts = make_bank(prefix, 1)
    whole = jax.tree.map(lambda x: x[None], pair.stored)
    examples = plain.random_examples(np.random.default_rng(4), (3,))
    queries = [Query(0, e.query) for e in examples]
    kind = WholeAndPrompt(prefix, 'model')
    bank = {'model': whole, 'prompt': prompts}
    got = generated(pair.cell, pair.stored, kind, bank, queries)
    expected = generated(pair.cell, pair.stored, prefix, prompts, queries)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_how_rows_are_packed_is_the_prompt_s():
    late = LatePrompt(3, 1, 32)
    kind = WholeAndPrompt(late, 'both')
    for name in (
        'slots', 'first_position', 'attends_to_text', 'one_owner',
        'reads_query', 'pooling', 'enters_at',
    ):  # fmt: skip
        assert getattr(kind, name) == getattr(late, name)
    assert kind.is_full_model
    with pytest.raises(ValueError, match="trains='all' must be one of"):
        WholeAndPrompt(late, 'all')
    with pytest.raises(ValueError, match='is a whole model'):
        WholeAndPrompt(Full(), 'both')
