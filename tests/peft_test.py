"""The contract of every kind of trained parameters, against the plain forms.

The plain forms share nothing with the kinds: LoRA and IA3 are merged into the
weights, a prefix is past keys and values.
"""

import dataclasses
import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax import peft
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer, Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import families, sizes, source
from fedprompt_jax.models.decoder import Decoder
from fedprompt_jax.models.layers import Places
from fedprompt_jax.peft import hf_adapter, ia3, lora, modules, prefix
from fedprompt_jax.peft.kind import Base, Start
from fedprompt_jax.peft.prompt import Prompt
from fedprompt_jax.peft.tuned import TunedModel
from tests import plain, tiny, tiny_families

P = 4


def kinds(base: Base) -> dict:
    """Every kind, and its variants, for a model."""
    c = base.config
    targets = modules.find(base, 'attention/(query|value|qkv)|mlp/down', '')
    keys = modules.find(base, 'attention/(key|value|qkv)', '')
    down = modules.find(base, 'mlp/down', '')
    conv1d = modules.is_conv1d(base, down[0])
    whole = prefix.Prefix((P,) * 3, c.num_kv_heads, c.head_dim, scale=0.5)
    return {
        'prompt': Prompt(P),
        'prefix': whole,
        'prefix, kept': dataclasses.replace(whole, shifted=False),
        'prefix, ragged': dataclasses.replace(whole, lengths=(2, 0, P)),
        'prefix, mlp': dataclasses.replace(whole, width=6, hidden=5),
        'lora': lora.LoRA(targets, 3, 6.0, conv1d),
        'ia3': ia3.IA3(keys, down, conv1d),
    }


KINDS = (
    'prompt', 'prefix', 'prefix, kept', 'prefix, ragged', 'prefix, mlp',
    'lora', 'ia3',
)  # fmt: skip


# Gemma 3 has windows, grouped heads and head norms; GPT-2 has one kernel for
# query, key and value, with a bias.
CASES = [
    *(('gemma3', kind) for kind in KINDS),
    ('gpt2', 'lora'),
    ('gpt2', 'ia3'),
]


@pytest.fixture(scope='module', params=CASES, ids=': '.join)
def case(request, tmp_path_factory):
    """(frozen model, kind)."""
    family, kind = request.param
    folder = tmp_path_factory.mktemp(family)
    tiny_families.make_checkpoint(folder, family)
    lm = source.load(folder, jnp.float32)
    names = families.names(lm.hf_config)
    base = Base(lm.config, names, sizes.param_shapes(lm.config))
    return lm, kinds(base)[kind]


@pytest.fixture(scope='module')
def lm(case):
    return case[0]


@pytest.fixture(scope='module')
def model(case):
    return TunedModel(Decoder(case[0].config), case[1])


@pytest.fixture(scope='module')
def bank(model, lm):
    """Three owners, each at random away from where its kind starts."""
    rng = np.random.default_rng(0)
    start = Start(rng, lm.base['embed']['embedding'], lambda text: [5])
    owners = [
        jax.tree.map(
            lambda x: x + rng.normal(0, 0.2, x.shape).astype(np.float32),
            model.kind.init(start),
        )
        for _ in range(3)
    ]
    return plain.stack(owners)


def packer_of(kind):
    shapes = (Shape(64, 48, (4,)),)
    return Packer(kind.slots, shapes, kind.first_position, kind.one_owner)


def simulations(model, lm):
    packed = PackedSimulation(
        model, lm.base, packer_of(model.kind), 'sequence', plain.same
    )
    return packed, VmappedSimulation(model, lm.base, 'sequence', plain.same)


def plain_logits(model, base, params, tokens):
    """Logits [n, V] of one owner's tokens [n], by the decoder alone."""
    kind, decoder = model.kind, model.decoder

    def call(base, tokens, position, past=None, past_places=None):
        n, before = len(tokens), 0 if past is None else past[0].shape[2]
        mask = jnp.tril(jnp.ones((1, n, before + n), bool), before)
        apply = functools.partial(decoder.apply, {'params': base})
        x = apply(tokens[None], method='embed_tokens')
        if isinstance(kind, Prompt):
            x = jnp.concatenate([params['prompt'][None], x], axis=1)
            mask = jnp.tril(jnp.ones((1, x.shape[1], x.shape[1]), bool))
            position = jnp.arange(x.shape[1])
        hidden, _ = apply(
            x,
            Places.plain(position[None]),
            mask,
            past,
            past_places,
            method='hidden_states',
        )
        return apply(hidden, method='logits')[0, -n:]

    at = jnp.arange(len(tokens))
    if isinstance(kind, lora.LoRA | ia3.IA3):
        return call(merged(kind, base, params), tokens, at)
    if isinstance(kind, Prompt):
        return call(base, tokens, at)
    attention = kind.expand(params)['layers']['attention']
    past = attention['prefix_key'], attention['prefix_value']
    before = Places.plain(jnp.arange(kind.slots)[None])
    past = jax.tree.map(lambda x: x[:, None], past)
    return call(base, tokens, at + kind.first_position, past, before)


def merged(kind, base, params):
    """The base with LoRA's products or IA3's vectors in its weights."""
    flat = dict(flax.traverse_util.flatten_dict(base))
    trained = flax.traverse_util.flatten_dict(params)
    for *module, name in trained:
        kernel, bias = (*module, 'kernel'), (*module, 'bias')
        value = trained[*module, name]
        if name == 'lora_a':
            product = jnp.einsum(
                'lir,lro->lio', value, trained[*module, 'lora_b']
            )
            flat[kernel] = flat[kernel] + kind.alpha / kind.rank * product
        elif name == 'ia3_in':
            flat[kernel] = flat[kernel] * value[:, :, None]
        elif name == 'ia3_out':
            flat[kernel] = flat[kernel] * value[:, None, :]
            if bias in flat:
                flat[bias] = flat[bias] * value
    return flax.traverse_util.unflatten_dict(flat)


def test_packed_is_vmapped_is_plain(model, lm, bank):
    examples = plain.random_examples(np.random.default_rng(1), (2, 0, 3))
    packed, vmapped = (
        s.gradients(bank, examples) for s in simulations(model, lm)
    )
    np.testing.assert_allclose(packed[0], vmapped[0], rtol=1e-5)
    plain.assert_owners_close(packed[1], vmapped[1], 1e-4)

    if ragged(model.kind):
        return  # past keys and values have one length in all layers

    @functools.partial(jax.jit, static_argnums=2)
    @functools.partial(jax.value_and_grad)
    def loss(params, tokens, targets):
        logits = plain_logits(model, lm.base, params, tokens)
        log_p = jax.nn.log_softmax(logits[-targets - 1 : -1])
        return -log_p[jnp.arange(targets), tokens[-targets:]].sum()

    for owner, params in plain.owners(bank):
        own = plain.of(owner, examples)
        if own:
            parts = [
                loss(params, np.concatenate([e.query, e.target]), len(e.target))
                for e in own
            ]
            value, grad = functools.reduce(optax.tree.add, parts)
            grad = optax.tree.scale(1 / len(own), grad)
            assert float(packed[0][owner]) == pytest.approx(
                float(value) / len(own), rel=1e-5
            )
            got = jax.tree.map(lambda x, o=owner: x[o], packed[1])
            plain.assert_close(got, grad, 1e-4)


def test_training_moves_every_leaf_and_not_the_base(model, lm, bank):
    before = jax.tree.map(np.array, lm.base)
    steps = [
        plain.random_examples(np.random.default_rng(i), (2, 1, 2))
        for i in range(2)
    ]
    simulation, _ = simulations(model, lm)
    tx = optax.adam(0.1)
    local = simulation.local_train(tx, bank, jax.vmap(tx.init)(bank), steps)
    jax.tree.map(np.testing.assert_array_equal, before, lm.base)
    for old, new in zip(
        jax.tree.leaves(bank), jax.tree.leaves(local.bank), strict=True
    ):
        assert (
            not np.isclose(old, new).all(axis=tuple(range(1, old.ndim))).any()
        )


def test_generation_is_a_plain_call_for_every_token(model, lm, bank):
    examples = plain.random_examples(np.random.default_rng(2), (1, 1, 2))
    generate = Generator(
        model,
        lm.base,
        eos_ids=(299,),
        max_new_tokens=3,
        batch_size=2,
        put=plain.same,
    )
    queries = [Query(e.owner, e.query) for e in examples]
    outputs = generate(bank, queries)
    if ragged(model.kind):
        packed, _ = simulations(model, lm)
        for query, output in zip(queries, outputs, strict=True):
            assert_likeliest(packed, bank, query, output)
        return
    logits = jax.jit(functools.partial(plain_logits, model, lm.base))
    for query, output in zip(queries, outputs, strict=True):
        params = jax.tree.map(lambda x, q=query: x[q.owner], bank)
        tokens = np.zeros(24, np.int32)  # padded behind the causal mask
        tokens[: len(query.tokens) + 3] = [*query.tokens, *output]
        best = logits(params, tokens).argmax(axis=-1)
        first = len(query.tokens) - 1
        np.testing.assert_array_equal(best[first : first + 3], output)


def assert_likeliest(packed, bank, query, output):
    """No other first token has a smaller loss in a packed grid."""
    rivals = [output[0], *range(5, 299, 20)]
    losses = [
        packed.gradients(
            bank, [Example(query.owner, query.tokens, np.array([token]))]
        )[0][query.owner]
        for token in rivals
    ]
    assert int(np.argmin(losses)) == 0


def ragged(kind) -> bool:
    return isinstance(kind, prefix.Prefix) and len(set(kind.lengths)) > 1


def test_an_adapter_comes_back(model, bank, tmp_path):
    kind = model.kind
    if ragged(kind) or (
        isinstance(kind, prefix.Prefix) and (kind.hidden or not kind.shifted)
    ):
        return  # PEFT has no such prefix, or only what its MLP gives
    params = jax.tree.map(lambda x: x[0], bank)
    hf_adapter.save(tmp_path, kind, params, 'base', {})
    back = hf_adapter.load(tmp_path, kind)
    jax.tree.map(np.testing.assert_array_equal, params, back)


def test_every_file_is_a_kind_with_its_contract():
    for name in peft.names():
        module = peft.get(name)
        for part in ('make', 'faults', 'positions'):
            assert callable(getattr(module, part)), (name, part)


def test_a_target_that_matches_nothing_names_what_there_is(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    fields = tiny.read_json(folder / 'config.json')
    config = families.decoder_config(fields)
    base = Base(config, families.names(fields), sizes.param_shapes(config))
    assert [m.path[-1] for m in modules.find(base, 'q_proj|v_proj', '')] == [
        'query',
        'value',
    ]
    with pytest.raises(ValueError, match=r'c_attn.*self_attn\.q_proj'):
        modules.find(base, 'c_attn', 'config.lora.targets')
