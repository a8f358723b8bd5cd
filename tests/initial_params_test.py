"""How each kind of trained parameters starts, and what it starts as."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fedprompt_jax.bank import bare as none
from fedprompt_jax.bank import modules
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.bank.kind import ModelInfo, Start
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.models import families, sizes
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft import adapter, ia3, idpg, lora, lpt, prefix
from fedprompt_jax.peft.full import Full
from fedprompt_jax.peft.prompt import Prompt
from tests import plain

WIDTH, VOCAB = 50, 2500
NUMBERS = 100_000


def start_of(width=WIDTH, seed=0):
    """Embeddings whose rows are told apart by their first number."""
    embedding = np.zeros((VOCAB, width), np.float32)
    embedding[:, 0] = np.arange(VOCAB)
    return Start(
        np.random.default_rng(seed), embedding, lambda text: [7, 3, 11]
    )


def prompt_of(how, scale=0.5):
    """f32 [2000, 50], which are 100,000 numbers."""
    params = Prompt(NUMBERS // WIDTH, how, scale, 'text').init(start_of())
    return np.asarray(params['prompt'])


@pytest.mark.parametrize('scale', [0.5, 0.02])
def test_a_normal_prompt_has_scale_as_its_standard_deviation(scale):
    """Profit's N(0, 0.25) has a deviation of 0.5."""
    x = prompt_of('normal', scale) / scale
    assert abs(x.mean()) < 0.02
    assert x.std() == pytest.approx(1, rel=0.02)
    within = [(np.abs(x) < k).mean() for k in (1, 2)]
    np.testing.assert_allclose(within, [0.6827, 0.9545], atol=0.01)


@pytest.mark.parametrize('scale', [0.5, 0.02])
def test_a_uniform_prompt_fills_the_interval_of_scale_evenly(scale):
    x = prompt_of('uniform', scale) / scale
    assert -1 <= x.min() < -0.99 and 0.99 < x.max() <= 1
    counts, _ = np.histogram(x, 10, (-1, 1))
    np.testing.assert_allclose(counts / NUMBERS, 0.1, atol=0.01)


def test_a_prompt_of_the_vocabulary_is_distinct_embeddings_of_tokens():
    x = prompt_of('vocabulary')
    np.testing.assert_array_equal(x, start_of().embedding[x[:, 0].astype(int)])
    assert len(set(x[:, 0])) == len(x)
    assert (np.diff(x[:, 0]) < 0).any()  # not merely the first ones


def test_a_prompt_of_a_text_repeats_its_tokens():
    x = prompt_of('text')
    np.testing.assert_array_equal(x[:7, 0], [7, 3, 11, 7, 3, 11, 7])


def test_a_prefix_has_scale_as_its_standard_deviation():
    kind = prefix.Prefix((500, 0, 500), 4, 16, scale=0.02)
    for rows in kind.init(start_of())['prefix'].values():
        assert abs(rows.mean()) < 0.001
        assert rows.std() == pytest.approx(0.02, rel=0.03)


def test_an_mlp_starts_as_in_pytorch():
    """torch.nn.Linear: weights and bias within 1 / sqrt(inputs)."""
    kind = prefix.Prefix((8,) * 3, 2, 16, width=16, hidden=100)
    params = kind.init(start_of())
    assert params['embedding'].shape == (8, 16)
    inputs = {'w1': 16, 'b1': 16, 'w2': 100, 'b2': 100}
    shapes = {'w1': (16, 100), 'b1': (100,), 'w2': (100, 192), 'b2': (192,)}
    assert params['mlp'].keys() == inputs.keys()
    for name, x in params['mlp'].items():
        bound = inputs[name] ** -0.5
        assert x.shape == shapes[name]
        assert 0.9 * bound < np.abs(x).max() <= bound
        assert x.min() < -0.9 * bound


@pytest.mark.parametrize(
    'kind',
    [Prompt(3, 'normal'), Prompt(3, 'vocabulary'), Prompt(3, 'text'), Full()],
    ids=str,
)
def test_what_is_trained_is_f32(kind):
    """Also of a model in bfloat16, which would round small updates off."""
    table = jnp.asarray(start_of().embedding, jnp.bfloat16)
    start = start_of()._replace(embedding=table, base={'table': table})
    for x in jax.tree.leaves(kind.init(start)):
        assert x.dtype == jnp.float32


@pytest.fixture(scope='module')
def adapters(lm):
    """Kinds that start as the bare model, for a tiny one."""
    names = families.names(lm.hf_config)
    base = ModelInfo(lm.config, names, sizes.param_shapes(lm.config))
    targets = modules.find(base, 'q_proj|v_proj|down_proj', '')
    return {
        'lora': lora.LoRA(targets, 3, 6.0),
        'ia3': ia3.IA3(targets[:2], targets[2:]),
    }


def test_lora_starts_with_a_as_in_peft_and_with_b_zero(adapters):
    """a is uniform within 1 / sqrt(inputs)."""
    params = dataclasses.replace(adapters['lora'], rank=200).init(start_of())
    flat = {
        (path[-2].key, path[-1].key): np.asarray(x)
        for path, x in jax.tree_util.tree_leaves_with_path(params)
    }
    assert len(flat) == 2 * 3
    for (module, name), x in flat.items():
        if name == 'lora_b':
            assert not x.any(), module
            continue
        bound = {'down': 64, 'query': 32, 'value': 32}[module] ** -0.5
        assert 0.99 * bound < np.abs(x).max() <= bound
        assert x.std() == pytest.approx(bound / 3**0.5, rel=0.05)


@pytest.mark.parametrize('name', ['lora', 'ia3'])
def test_an_adapter_starts_as_the_bare_model_and_can_leave_it(
    name, adapters, lm
):
    examples = plain.random_examples(np.random.default_rng(0), (2, 3))

    def gradients(kind):
        model = TunedModel(Transformer(lm.config), kind)
        packer = model.packer(Shape(64, 48, (2,)))
        simulation = PackedSimulation(
            model, lm.base, packer, 'sequence', plain.same
        )
        params = kind.init(start_of())
        bank = jax.tree.map(lambda x: jnp.stack([x, x]), params)
        return simulation.gradients(bank, examples)

    bare, _ = gradients(none.Nothing())
    losses, grads = gradients(adapters[name])
    np.testing.assert_allclose(losses, bare, rtol=1e-5)
    moved = {
        path[-1].key: float(jnp.abs(x).max())
        for path, x in jax.tree_util.tree_leaves_with_path(grads)
    }
    assert all(size > 1e-4 for key, size in moved.items() if key != 'lora_a')
    assert moved.get('lora_a', 0) == 0  # behind b, which is zero


def test_an_adapter_without_its_last_kernel_is_the_bare_model(lm):
    kind = adapter.Adapter(((('layers',), 2, 32),), 4)
    examples = plain.random_examples(np.random.default_rng(0), (2, 3))

    def losses(kind, params):
        model = TunedModel(Transformer(lm.config), kind)
        packer = model.packer(Shape(64, 48, (2,)))
        simulation = PackedSimulation(
            model, lm.base, packer, 'sequence', plain.same
        )
        bank = jax.tree.map(lambda x: jnp.stack([x, x]), params)
        return simulation.gradients(bank, examples)[0]

    params = kind.init(start_of())
    near = losses(kind, params)
    for part in params['layers'].values():
        part['up'] = jnp.zeros_like(part['up'])
    bare = losses(none.Nothing(), none.Nothing().init(None))
    np.testing.assert_array_equal(losses(kind, params), bare)
    # And it starts close to it, but not there.
    np.testing.assert_allclose(near, bare, rtol=1e-3)
    assert (near != bare).all()


def test_no_gradient_passes_through_layers_below_a_late_prompt(lm):
    """Of two layers one is scanned back, in reverse; of a prompt, both."""
    bank = plain.random_bank(np.random.default_rng(1), 2)

    def scanned_back(kind) -> list[int]:
        model = TunedModel(Transformer(lm.config), kind)
        examples = plain.random_examples(np.random.default_rng(0), (1, 1))
        (grid,) = model.packer(Shape(64, 48, (1,))).pack(examples, [1.0, 1.0])
        traced = grid_gradients.trace(model, lm.base, bank, grid)
        text = str(traced.jaxpr)
        lengths = re.findall(r'\blength=(\d+)', text)
        back = re.findall(r'\breverse=(\w+)', text)
        pairs = zip(lengths, back, strict=True)
        return [int(n) for n, reverse in pairs if reverse == 'True']

    assert scanned_back(Prompt(plain.P)) == [2]
    assert scanned_back(lpt.LatePrompt(plain.P, 1, 32)) == [1]


def test_a_late_prompt_of_the_first_layer_is_a_prompt(lm):
    """Where positions are rotary and nothing is done to embeddings."""
    examples = plain.random_examples(np.random.default_rng(0), (2, 3))

    def gradients(kind):
        model = TunedModel(Transformer(lm.config), kind)
        packer = model.packer(Shape(64, 48, (2,)))
        simulation = PackedSimulation(
            model, lm.base, packer, 'sequence', plain.same
        )
        bank = plain.random_bank(np.random.default_rng(1), 2)
        return simulation.gradients(bank, examples)

    late, early = lpt.LatePrompt(plain.P, 0, 32), Prompt(plain.P)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
        gradients(late), gradients(early),
    )  # fmt: skip


def test_a_generator_whose_last_kernel_is_zero_is_a_prompt(lm):
    """It stands before every example then, which changes nothing."""
    examples = plain.random_examples(np.random.default_rng(0), (2, 3))

    def losses(kind, params):
        model = TunedModel(Transformer(lm.config), kind)
        packer = model.packer(Shape(64, 48, (4,)))
        simulation = PackedSimulation(
            model, lm.base, packer, 'sequence', plain.same
        )
        bank = jax.tree.map(lambda x: jnp.stack([x, x]), params)
        return simulation.gradients(bank, examples)[0]

    kind = idpg.IDPG(plain.P, 4)
    params = kind.init(start_of(width=32))
    started = losses(kind, params)
    params |= {'up': jnp.zeros_like(params['up'])}
    prompt = {'prompt': params['prompt']}
    expected = losses(Prompt(plain.P), prompt)
    np.testing.assert_allclose(losses(kind, params), expected, rtol=1e-5)
    assert not np.allclose(started, expected, rtol=1e-5)
