"""The contract of every kind of trained parameters, against plain_kinds."""

import dataclasses
import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fedprompt_jax import peft
from fedprompt_jax.bank import hf_adapter, modules
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import ModelInfo, Start
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.evaluation.generation import Generator, Query
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.federated.vmapped import VmappedSimulation
from fedprompt_jax.models import families, sizes, source
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft import adapter, attempt, ia3, idpg, lora, lpt, prefix
from fedprompt_jax.peft.prompt import Prompt
from tests import plain, plain_kinds, tiny, tiny_families
from tests.exhaustive import exhaustive
from tests.parity import cases

P = 4
# Prompts of other tasks: tokens, and rows that were trained.
TOKENS = ((5, 6, 7, 8), (20, 30, 40, 50))
SOURCES = attempt.Sources(np.random.default_rng(3).normal(size=(2, P, 32)))


def kinds(base: ModelInfo) -> dict:
    """Every kind, and its variants, for a model."""
    c = base.config
    targets = modules.find(base, 'attention/(query|value|qkv)|mlp/down', '')
    keys = modules.find(base, 'attention/(key|value|qkv)', '')
    down = modules.find(base, 'mlp/down', '')
    conv1d = modules.is_conv1d(base, down[0])
    whole = prefix.Prefix((P,) * 3, c.num_kv_heads, c.head_dim, scale=0.5)
    stacks = [(('layers',), c.num_layers, c.width)]
    if c.encoder:
        whole = dataclasses.replace(whole, stack=('encoder', 'layers'))
        encoder = c.encoder.num_layers, c.encoder.width
        stacks.append((('encoder', 'layers'), *encoder))
    learned = bool(c.reader.position_rows)
    return {
        'prompt': Prompt(P),
        'lpt': lpt.LatePrompt(P, 1, c.reader.width, learned),
        'idpg': idpg.IDPG(P, 5),
        'attempt': attempt.Attempt(P, 5, None, TOKENS, temperature=0.1),
        'attempt, all': attempt.Attempt(
            P, 5, SOURCES, temperature=0.1, train_sources=True
        ),
        'adapter': adapter.Adapter(tuple(stacks), 5),
        'adapter, mlp': adapter.Adapter(
            tuple(stacks), 5, 'relu', adapter.PLACES['mlp']
        ),
        'prefix': whole,
        'prefix, kept': dataclasses.replace(whole, shifted=False),
        'prefix, ragged': dataclasses.replace(whole, lengths=(2, 0, P)),
        'prefix, mlp': dataclasses.replace(whole, width=6, hidden=5),
        'lora': lora.LoRA(targets, 3, 6.0, conv1d),
        'ia3': ia3.IA3(keys, down, conv1d),
    }


ATTENDED = ('prompt', 'lpt', 'prefix, kept', 'prefix, ragged')


# Gemma 3 has windows, grouped heads and head norms; GPT-2 has one kernel for
# query, key and value, with a bias; RoBERTa and T5 are not causal.
CASES = [
    *(('gemma3', kind) for kind in (*ATTENDED, 'lora')),
    *(('gpt2', kind) for kind in ('prefix, mlp', 'lora', 'ia3')),
    *(('roberta', kind) for kind in ('prompt', 'prefix', 'lora', 'lpt')),
    *(('t5_v1_1', kind) for kind in ('prompt', 'prefix', 'lora', 'lpt')),
    # Prompts that each example has for itself.
    ('gemma3', 'idpg'),
    ('t5_v1_1', 'idpg'),
    ('llama_linear', 'attempt'),
    ('roberta', 'attempt, all'),
    # Behind parts of blocks of other layouts, and in a decoder.
    ('roberta', 'adapter, mlp'),
    ('pythia', 'adapter'),
    ('t5_v1_1', 'adapter'),
]


# Each kind once.
SUITE = [
    ('gemma3', 'prefix, ragged'),
    ('gpt2', 'lora'),
    ('gpt2', 'ia3'),
    ('roberta', 'prompt'),
    ('roberta', 'lpt'),
    ('t5_v1_1', 'idpg'),
    ('llama_linear', 'attempt'),
    ('pythia', 'adapter'),
]


@pytest.fixture(
    scope='module',
    params=[
        pytest.param(c, id=': '.join(c), marks=() if c in SUITE else exhaustive)
        for c in CASES
    ],
)
def case(request, tmp_path_factory):
    """(frozen model, kind)."""
    family, kind = request.param
    folder = tmp_path_factory.mktemp(family)
    tiny_families.make_checkpoint(folder, family)
    lm = source.load(folder, jnp.float32)
    return lm, kind_of(lm, kind)


def kind_of(lm, name: str):
    """One of `kinds`, for a model that was loaded."""
    names = families.names(lm.hf_config)
    return kinds(ModelInfo(lm.config, names, sizes.param_shapes(lm.config)))[
        name
    ]


@pytest.fixture(scope='module')
def lm(case):
    return case[0]


@pytest.fixture(scope='module')
def model(case):
    return TunedModel(Transformer(case[0].config), case[1])


@pytest.fixture(scope='module')
def bank(model, lm):
    return random_bank(model.kind, lm, 3)


def random_bank(kind, lm, owners: int):
    """Owners, each at random away from where the kind starts."""
    rng = np.random.default_rng(0)
    start = Start(rng, lm.base['embed']['embedding'], lambda text: [5])
    return plain.stack(
        [
            jax.tree.map(
                lambda x: x + rng.normal(0, 0.2, x.shape).astype(np.float32),
                kind.init(start),
            )
            for _ in range(owners)
        ]
    )


def simulations(model, lm):
    packer = model.packer(Shape(64, 48, (4,)))
    packed = PackedSimulation(model, lm.base, packer, 'sequence', plain.same)
    return packed, VmappedSimulation(model, lm.base, 'sequence', plain.same)


def random_examples(model, seed, counts):
    """Ragged examples of the owners, as the model takes them."""
    examples = plain.random_examples(np.random.default_rng(seed), counts)
    objective = model.transformer.config.objective
    if objective == 'causal_lm':
        return examples
    return [cases.place_targets(e, objective) for e in examples]


def test_packed_is_vmapped_is_plain(model, lm, bank):
    examples = random_examples(model, 1, (1, 0, 3))
    packed, vmapped = (
        s.gradients(bank, examples) for s in simulations(model, lm)
    )
    np.testing.assert_allclose(packed[0], vmapped[0], rtol=1e-5)
    plain.assert_owners_close(packed[1], vmapped[1], 1e-4)

    call = functools.partial(plain_kinds.value_and_grad, model, lm.base)
    for owner, params in plain.owners(bank):
        own = plain.of(owner, examples)
        if own:
            parts = [call(params, e) for e in own]
            value, grad = functools.reduce(optax.tree.add, parts)
            grad = optax.tree.scale(1 / len(own), grad)
            assert float(packed[0][owner]) == pytest.approx(
                float(value) / len(own), rel=1e-5
            )
            got = jax.tree.map(lambda x, o=owner: x[o], packed[1])
            plain.assert_close(got, grad, 1e-4)


def test_training_moves_every_leaf_and_not_the_base(model, lm, bank):
    before = jax.tree.map(np.array, lm.base)
    steps = [random_examples(model, i, (3, 3, 3)) for i in range(2)]
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
    generate = Generator(
        model,
        lm.base,
        eos_ids=(-1,),
        max_new_tokens=3,
        batch_size=2,
        place_rows=plain.same,
    )
    examples = random_examples(model, 2, (1, 1, 2))
    queries = [Query(e.owner, e.query) for e in examples]
    if lm.config.objective == 'masked_lm':
        with pytest.raises(ValueError, match='generates no text'):
            generate(bank, queries)
        return
    outputs = generate(bank, queries)
    for e, output in zip(examples, outputs, strict=True):
        assert len(output) == 3
        params = jax.tree.map(lambda x, o=e.owner: x[o], bank)
        e = e._replace(target=output)
        if e.at is not None:
            e = e._replace(at=np.full(3, len(e.query) - 1))
        logits = plain_kinds.target_logits(model, lm.base, params, e)
        np.testing.assert_array_equal(logits.argmax(axis=-1), output)


# What PEFT has no counterpart of.
PLAIN = (
    adapter.Adapter,
    attempt.Attempt,
    idpg.IDPG,
    lpt.LatePrompt,
)


def ragged(kind) -> bool:
    return isinstance(kind, prefix.Prefix) and len(set(kind.lengths)) > 1


def test_an_adapter_comes_back(model, bank, tmp_path):
    kind = model.kind
    if isinstance(kind, PLAIN):
        with pytest.raises(ValueError, match='HF PEFT has no'):
            kind.to_hf(jax.tree.map(lambda x: x[0], bank))
        with pytest.raises(ValueError, match='of HF PEFT is no'):
            kind.from_hf({}, {})
        return
    if ragged(kind) or (
        isinstance(kind, prefix.Prefix)
        and (kind.hidden or not kind.shifted or kind.stack != ('layers',))
    ):
        return  # PEFT has no such prefix, or only what its MLP gives
    params = jax.tree.map(lambda x: x[0], bank)
    hf_adapter.save(tmp_path, kind, params, 'base', model.transformer.config)
    back = hf_adapter.load(tmp_path, kind)
    jax.tree.map(np.testing.assert_array_equal, params, back)


def test_every_file_is_a_kind_with_its_contract():
    folder = Path(peft.__file__).parent
    files = {path.stem for path in folder.glob('*.py')} - {'__init__'}
    assert files <= set(peft.names())  # and extensions that a test adds
    for name in peft.names():
        module = peft.get(name)
        for part in ('make', 'faults', 'positions'):
            assert callable(getattr(module, part)), (name, part)


def test_a_target_that_matches_nothing_names_what_there_is(tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    fields = tiny.read_json(folder / 'config.json')
    config = families.model_config(fields)
    base = ModelInfo(config, families.names(fields), sizes.param_shapes(config))
    assert [m.path[-1] for m in modules.find(base, 'q_proj|v_proj', '')] == [
        'query',
        'value',
    ]
    with pytest.raises(ValueError, match=r'c_attn.*self_attn\.q_proj'):
        modules.find(base, 'c_attn', 'config.lora.targets')


@pytest.mark.parametrize(
    'targets', [r'model\.layers\.0\..*q_proj', '1.*v_proj']
)
def test_targets_in_some_layers_are_refused(targets, tmp_path):
    folder = tiny.make_checkpoint(tmp_path)
    fields = tiny.read_json(folder / 'config.json')
    config = families.model_config(fields)
    base = ModelInfo(config, families.names(fields), sizes.param_shapes(config))
    with pytest.raises(ValueError, match='and not all layers'):
        modules.find(base, targets, 'config.lora.targets')
