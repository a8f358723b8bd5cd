"""Full fine-tuning: the whole model is what a bank of one trains."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import centralized
from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Start
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import export, families, shards, source
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.full import Full
from tests import plain, plain_kinds, tiny_families
from tests.exhaustive import beyond
from tests.parity import cases

FAMILIES = ('qwen2', 't5')


@pytest.fixture(scope='module', params=beyond(['qwen2'], FAMILIES))
def subject(request, tmp_path_factory):
    """(folder, frozen model, model with the kind, bank of one)."""
    folder = tmp_path_factory.mktemp(request.param)
    tiny_families.make_checkpoint(folder, request.param)
    lm = source.load(folder, jnp.float32)
    model = TunedModel(Transformer(lm.config), Full())
    table = lm.base['embed']['embedding']
    start = Start(np.random.default_rng(0), table, lambda text: [], lm.base)
    bank = jax.tree.map(lambda x: x[None], model.kind.init(start))
    return folder, lm, model, bank


def make_examples(lm):
    examples = plain.random_examples(np.random.default_rng(3), (4,))
    if lm.config.objective == 'causal_lm':
        return examples
    return [cases.place_targets(e, lm.config.objective) for e in examples]


def test_its_gradient_is_that_of_the_weights(subject):
    _, lm, model, bank = subject
    examples = make_examples(lm)
    packer = model.packer(Shape(64, 48, (2,)))
    packed = PackedSimulation(model, lm.base, packer, 'token', plain.same)
    vmapped = VmappedSimulation(model, lm.base, 'token', plain.same)
    bare = TunedModel(Transformer(lm.config), Nothing())

    def loss(base):
        logits = [plain_kinds.bare_logits(bare, base, e) for e in examples]
        target = np.concatenate([e.target for e in examples])
        rows = jax.nn.log_softmax(jnp.concatenate(logits))
        return -rows[np.arange(len(target)), target].mean()

    value, grad = jax.jit(jax.value_and_grad(loss))(lm.base)
    for simulation in (packed, vmapped):
        got, grads = simulation.gradients(bank, examples)
        assert float(got[0]) == pytest.approx(float(value), rel=1e-5)
        own = jax.tree.map(lambda x: x[0], grads)
        # (That of a key's bias is 0: each leaf's own norm is no measure.)
        off = optax.tree.sub(own, grad)
        assert float(optax.tree.norm(off)) < 1e-5 * float(optax.tree.norm(grad))


def test_what_is_trained_is_a_checkpoint(subject, tmp_path):
    folder, lm, model, bank = subject
    packer = model.packer(Shape(64, 48, (2,)))
    simulation = PackedSimulation(model, lm.base, packer, 'token', plain.same)
    tx, steps = optax.sgd(0.1), [make_examples(lm)]
    state = jax.vmap(tx.init)(bank)
    local = simulation.local_train(tx, bank, state, steps)
    params = jax.tree.map(lambda x: x[0], local.bank)
    names = families.names(lm.hf_config)
    export.save(tmp_path / 'new', params, names, folder, 'float32')
    again = source.load(tmp_path / 'new', jnp.float32)
    jax.tree.map(np.testing.assert_array_equal, again.base, params)
    known = shards.checkpoint_fingerprint(folder)
    assert shards.checkpoint_fingerprint(tmp_path / 'new') != known
    if lm.config.objective != 'masked_lm':
        assert_writes_alike(lm, model, local.bank, again)


def assert_writes_alike(lm, model, bank, again):
    """A bank of one writes what the checkpoint made of it does."""
    bare = TunedModel(Transformer(lm.config), Nothing())
    queries = [Query(0, e.query) for e in make_examples(lm)]
    texts = [
        Generator(
            m, base, eos_ids=(299,), max_new_tokens=3, batch_size=2,
            place_rows=plain.same,
        )(own, queries)
        for m, base, own in (
            (model, lm.base, bank),
            (bare, again.base, {'nothing': jnp.zeros((1, 1))}),
        )
    ]  # fmt: skip
    for a, b in zip(*texts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_more_than_one_client_is_refused():
    config = centralized.get_config()
    config.peft = 'full'
    with pytest.raises(ValueError, match=r'personalization\.clients=4 must be'):
        config_lib.check(config, files=False)
