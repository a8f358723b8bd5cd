"""Kernels in int8: how far they are off, and that nothing else is."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.experiment import build
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import (
    export,
    families,
    quantization,
    sizes,
    source,
)
from fedprompt_jax.models.transformer import Transformer
from tests import main_test, peft_test, plain, tiny, tiny_data, tiny_families
from tests.exhaustive import exhaustive
from tests.parity import cases

# GPT-2 has kernels with biases, not transposed; T5 has an encoder.
CASES = [('gemma3', 'prompt'), ('gpt2', 'ia3'), ('t5_v1_1', 'lora')]


def flat(base) -> dict:
    return flax.traverse_util.flatten_dict(base, sep='/')


def dequantized(base) -> dict:
    """The base of f32 that the integers and their scales stand for."""
    leaves = flat(base)
    for path, x in flat(base).items():
        if x.dtype == jnp.int8:
            scale = leaves.pop(path.replace('/kernel', '/scale'))
            leaves[path] = x.astype(jnp.float32) * scale[:, None]
    return flax.traverse_util.unflatten_dict(leaves, sep='/')


@pytest.fixture(
    scope='module',
    params=[
        pytest.param(
            c, id=': '.join(c), marks=() if c[0] == 'gpt2' else exhaustive
        )
        for c in CASES
    ],
)
def case(request, tmp_path_factory):
    """(model as it is, model in int8, what is trained)."""
    family, kind = request.param
    folder = tmp_path_factory.mktemp(family)
    tiny_families.make_checkpoint(folder, family)
    lm = source.load(folder, jnp.float32)
    quantized = source.load(folder, jnp.float32, quantization='int8')
    return lm, quantized, peft_test.kind_of(lm, kind)


def test_kernels_of_layers_are_near_their_integers_and_the_rest_is_itself(case):
    lm, quantized, _ = case
    before, after = flat(lm.base), flat(quantized.base)
    expected = sizes.base_leaves(lm.config, jnp.dtype('float32'), 'int8')
    assert after.keys() == expected.keys()
    for path, x in after.items():
        assert (x.shape, x.dtype) == (
            expected[path].shape,
            expected[path].dtype,
        ), path
    meant = flat(dequantized(quantized.base))
    assert meant.keys() == before.keys()
    kernels = 0
    for path, x in before.items():
        if 'layers/' not in path or not path.endswith('/kernel'):
            np.testing.assert_array_equal(meant[path], x, err_msg=path)
            continue
        kernels += 1
        whole, step = after[path], after[path.replace('/kernel', '/scale')]
        assert np.all(np.abs(np.asarray(whole)).max(axis=1) == 127)
        off = np.abs(meant[path] - np.asarray(x)).max(axis=1)
        assert np.all(off <= 0.5001 * np.asarray(step))
    assert kernels >= 4


def test_a_channel_s_scale_is_its_own():
    rows = [[1.0, 0.0, 3e-20, 0.25], [-0.5, 0.0, 1e-20, -2.0]]
    whole, scale = quantization.quantize(np.array(rows, np.float32))
    expected = [[127, 0, 127, 16], [-64, 0, 42, -127]]
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_allclose(scale * 127, [1.0, 0.0, 3e-20, 2.0], rtol=1e-6)


def test_it_computes_what_its_integers_mean(case):
    """Losses, gradients and texts, with trained parameters in the layers."""
    lm, quantized, kind = case
    model = TunedModel(Transformer(lm.config), kind)
    bank = peft_test.random_bank(kind, lm, 2)
    examples = plain.random_examples(np.random.default_rng(0), (4, 3))
    examples = [cases.place_targets(e, lm.config.objective) for e in examples]
    packer = model.packer(Shape(64, 48, (4,)))
    found = {}
    for name, base in (
        ('meant', dequantized(quantized.base)),
        ('quantized', quantized.base),
        ('original', lm.base),
    ):
        simulation = PackedSimulation(
            model, base, packer, 'sequence', plain.same
        )
        generate = Generator(
            model, base, eos_ids=(299,), max_new_tokens=4, batch_size=4,
            place_rows=plain.same,
        )  # fmt: skip
        texts = generate(bank, [Query(e.owner, e.query) for e in examples])
        found[name] = *simulation.gradients(bank, examples), texts
    losses, grads, texts = found['quantized']
    np.testing.assert_allclose(losses, found['meant'][0], rtol=1e-5)
    # By norms: a number near zero is a sum of large ones, which machines round
    # differently.
    off = jax.tree.map(np.subtract, grads, found['meant'][1])
    assert tree_norm(off) < 1e-4 * tree_norm(grads)
    for a, b in zip(texts, found['meant'][2], strict=True):
        np.testing.assert_array_equal(a, b)
    if lm.config.encoder is None:  # by both simulations
        reference = VmappedSimulation(
            model, quantized.base, 'sequence', plain.same
        )
        again, _ = reference.gradients(bank, examples)
        np.testing.assert_allclose(again, losses, rtol=1e-5)
    # And it is another model than the original, though near.
    assert not np.allclose(losses, found['original'][0], rtol=1e-5)
    np.testing.assert_allclose(losses, found['original'][0], rtol=0.05)


def tree_norm(tree) -> float:
    return np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(tree)))


def test_a_product_in_bf16_is_rounded_once():
    """Forward: but for f32 sums. Backward: the scaled gradient, and the sum."""
    rng = np.random.default_rng(0)
    kernel, scale = quantization.quantize(
        rng.normal(size=(64, 48)).astype(np.float32)
    )
    x = jnp.asarray(rng.normal(size=(5, 64)), jnp.bfloat16)
    weight = np.float64(kernel) * scale
    y, back = jax.vjp(lambda x: quantization.product(x, kernel, scale), x)
    assert y.dtype == jnp.bfloat16
    exact = np.float64(x) @ weight
    off = np.abs(np.float64(y) - exact)
    assert np.all(off <= 2.0**-8 * np.abs(exact) + 1e-5)
    gradient = jnp.asarray(rng.normal(size=y.shape), jnp.bfloat16)
    (found,) = back(gradient)
    assert found.dtype == jnp.bfloat16
    exact = np.float64(gradient) @ weight.T
    off = np.linalg.norm(np.float64(found) - exact)
    assert off < 2.0**-8 * np.linalg.norm(exact)


def test_other_kinds_are_refused(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    with pytest.raises(ValueError, match=r"'int4' must be '' or one of"):
        source.load(folder, jnp.float32, quantization='int4')


def test_integers_are_not_written(case, tmp_path):
    _, quantized, _ = case
    names = families.names(quantized.hf_config)
    with pytest.raises(ValueError, match='quantized model is not written'):
        export.save(tmp_path, quantized.base, names, tmp_path, 'float32')


def test_the_config_says_so(tmp_path):
    config = fedavg_adam.get_config()
    config.update_from_flattened_dict(main_test.FLAGS)
    config.model.source = str(tiny.make_checkpoint(tmp_path / 'model'))
    config.model.quantization = 'int8'
    config.data.path = str(tiny_data.make_data(tmp_path / 'data'))
    config_lib.check(config)
    folder, data = build.load_data(config, tmp_path / 'cache')
    base = flat(build.build(config, folder, data).lm.base)
    assert base['layers/mlp/up/kernel'].dtype == jnp.int8
    assert base['embed/embedding'].dtype == jnp.float32


def test_integers_are_not_trained():
    config = fedavg_adam.get_config()
    config.model.quantization, config.peft = 'int8', 'full'
    config.clients_per_round = config.personalization.clients = 1
    with pytest.raises(ValueError, match='integers are not trained'):
        config_lib.check(config, files=False)
