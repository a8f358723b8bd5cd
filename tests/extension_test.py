"""A family, a kind of parameters and an algorithm, each by one short file.

The family's numbers are compared with PyTorch's like all others', in
models_test.py and tests/parity.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from configs import fedavg_adam
from fedprompt_jax import algorithms, peft
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import ModelInfo, Start
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.experiment import config as config_lib
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.models import families, sizes, source
from fedprompt_jax.models.transformer import Transformer
from tests import (
    algorithm_contract_test,
    extensions,
    plain,
    tiny_families,
)
from tests.parity import golden


def test_each_is_a_file_of_less_than_80_lines():
    files = list(extensions.FOLDER.glob('*/*.py'))
    assert len(files) == 4
    for file in files:
        assert len(file.read_text().splitlines()) < 80, file


def test_the_family_is_found_and_compared_like_all():
    assert 'starcoder2' in families.families()
    assert 'starcoder2' in golden.NAMES and golden.path('starcoder2').exists()


def test_the_algorithm_is_found_and_has_the_laws_of_all():
    assert 'fedper' in algorithms.names()
    assert 'fedper' in algorithm_contract_test.NAMES


def test_the_kind_trains_the_second_factor_alone(tmp_path):
    config = fedavg_adam.get_config()
    config.peft = 'ffa_lora'
    config_lib.check(config, files=False)
    tiny_families.make_checkpoint(tmp_path, 'starcoder2')
    lm = source.load(tmp_path, jnp.float32)
    names, shapes = families.names(lm.hf_config), sizes.param_shapes(lm.config)
    base = ModelInfo(lm.config, names, shapes)
    ffa = peft.get('ffa_lora').make(config, base)
    whole = peft.get('lora').make(config, base)
    start = Start(np.random.default_rng(1), jnp.zeros((1, 1)), lambda t: [])
    params = ffa.init(start)
    examples = plain.random_examples(np.random.default_rng(0), (2, 3))

    def train(kind, one, freeze):
        model = TunedModel(Transformer(lm.config), kind)
        packer = model.packer(Shape(64, 48, (2,)))
        simulation = PackedSimulation(
            model, lm.base, packer, 'token', plain.same
        )
        tx = optax.chain(freeze, optax.sgd(0.1))
        bank = jax.tree.map(lambda x: jnp.stack([x, x]), one)
        state = jax.vmap(tx.init)(bank)
        return simulation.local_train(tx, bank, state, [examples] * 2)

    # The same as LoRA whose first factor has no gradient.
    frozen = optax.masked(
        optax.set_to_zero(),
        lambda tree: jax.tree_util.tree_map_with_path(
            lambda path, _: path[-1].key == 'lora_a', tree
        ),
    )
    ours = train(ffa, params, optax.identity())
    both = train(whole, ffa.both_factors(params), frozen)
    np.testing.assert_allclose(ours.losses, both.losses, rtol=1e-6)
    assert (ours.losses[1] < ours.losses[0]).all()
    tree = jax.tree.map(lambda x: x[0], ours.bank)
    trained = ffa.both_factors(tree)
    expected = jax.tree.map(lambda x: x[0], both.bank)
    plain.assert_close(trained, expected, 1e-6)
