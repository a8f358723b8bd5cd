"""What a config says of a kind reaches it; and its files say what it is."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors as safetensors_lib
from safetensors import numpy as safetensors

from configs import centralized, fedavg_adam
from fedprompt_jax import peft
from fedprompt_jax.bank import hf_adapter, modules
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import ModelInfo, Start
from fedprompt_jax.data.packing import Shape
from fedprompt_jax.federated.packed import PackedSimulation
from fedprompt_jax.models import families, sizes
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.attempt import Attempt
from fedprompt_jax.peft.full import Full
from fedprompt_jax.peft.idpg import IDPG
from fedprompt_jax.peft.lpt import LatePrompt
from fedprompt_jax.peft.prefix import Prefix
from fedprompt_jax.peft.prompt import Prompt
from tests import plain, tiny_families

IDS = {'vocab_size': 300, 'bos_token_id': 1, 'eos_token_id': 2}


def base_of(family: str) -> ModelInfo:
    """A tiny model's sizes and names; llama has 2 key heads of 4."""
    fields = tiny_families.CONFIGS[family] | IDS | {'pad_token_id': 3}
    config = families.model_config(fields)
    return ModelInfo(config, families.names(fields), sizes.param_shapes(config))


def config_of(kind: str, **settings):
    config = fedavg_adam.get_config()
    config.peft = kind
    if settings:
        config[kind].update(settings)
    return config


def made(kind: str, family: str = 'llama_linear', **settings):
    config = config_of(kind, **settings)
    return peft.get(kind).make(config, base_of(family))


def faults(config) -> list[str]:
    return list(peft.get(config.peft).faults(config))


def test_a_prompt_is_what_the_config_says():
    kind = made('prompt', length=7, init='text', scale=0.3, text='the river')
    assert kind == Prompt(7, 'text', 0.3, 'the river')


def test_a_prefix_is_what_the_config_says():
    kind = made('prefix', length=5, layers=(0, 2), scale=0.1)
    assert kind.lengths == (5, 0, 5)
    assert (kind.heads, kind.head_dim) == (2, 8)
    assert (kind.scale, kind.hidden, kind.width) == (0.1, 0, 32)
    assert kind.shifted and kind.first_position == kind.slots == 5
    kept = made('prefix', length=5, positions='kept', mlp=6)
    assert kept.lengths == (5,) * 3
    assert not kept.shifted and kept.hidden == 6


def test_a_prefix_of_layers_there_are_not():
    with pytest.raises(ValueError, match=r'has \[3\], but .* layers 0 to 2'):
        made('prefix', layers=(2, 3))


@pytest.mark.parametrize('family', ['t5_v1_1', 'llama_linear'])
def test_a_prefix_is_in_the_encoder_of_two_stacks(family):
    kind = made('prefix', family, length=2)
    params = kind.init(Start(np.random.default_rng(0), None, None))
    (stack,) = kind.expand(params)
    assert stack == ('encoder' if family == 't5_v1_1' else 'layers')


def test_lora_is_what_the_config_says():
    settings = {'rank': 2, 'alpha': 7.0, 'targets': 'q_proj|down_proj'}
    kind = made('lora', **settings)
    assert (kind.rank, kind.alpha, kind.conv1d) == (2, 7.0, False)
    assert [m.path[-1] for m in kind.targets] == ['query', 'down']
    assert made('lora', 'gpt2', targets='c_attn').conv1d


def test_ia3_is_what_the_config_says():
    kind = made('ia3', outputs='v_proj', inputs='up_proj|down_proj')
    assert [m.path[-1] for m in kind.outputs] == ['value']
    assert [m.path[-1] for m in kind.inputs] == ['up', 'down']
    assert not kind.conv1d
    assert made('ia3', 'gpt2', outputs='c_attn', inputs='c_fc').conv1d


def test_an_adapter_is_what_the_config_says():
    settings = {'width': 3, 'activation': 'relu', 'scale': 0.1}
    kind = made('adapter', **settings)
    assert (kind.width, kind.activation, kind.scale) == (3, 'relu', 0.1)
    assert kind.stacks == ((('layers',), 3, 32),)
    assert kind.places == ('attention_adapter', 'mlp_adapter')
    assert made('adapter', places='mlp').places == ('mlp_adapter',)


def test_both_stacks_have_adapters_of_their_own_depth():
    base = base_of('t5_v1_1')
    deeper = dataclasses.replace(base.config.encoder, num_layers=5, width=8)
    config = dataclasses.replace(base.config, encoder=deeper)
    base = base._replace(config=config)
    kind = peft.get('adapter').make(config_of('adapter', width=2), base)
    params = kind.init(start())
    down = params['encoder']['layers']['mlp_adapter']['down']
    assert down.shape == (5, 8, 2)
    down = params['layers']['attention_adapter']['down']
    assert down.shape == (2, 32, 2)


def test_an_adapter_starts_near_the_identity():
    """Normal numbers without those beyond two deviations; no biases."""
    kind = made('adapter', width=200, scale=0.01)
    for path, x in jax.tree_util.tree_leaves_with_path(kind.init(start())):
        if path[-1].key.endswith('bias'):
            assert not x.any()
            continue
        # Cut at two deviations, a normal number deviates by 0.88 of one.
        assert x.std() == pytest.approx(0.0088, rel=0.03)
        assert 0.0199 < np.abs(x).max() <= 0.02


def test_a_late_prompt_is_what_the_config_says():
    kind = made('lpt', length=7, depth=0.34, scale=0.1)
    assert (kind.slots, kind.enters_at, kind.width) == (7, 1, 32)
    assert kind.scale == 0.1 and kind.first_position == 7
    rows = made('lpt', length=5000, scale=0.1).init(start())['prompt']
    assert rows.shape == (5000, 32)
    assert rows.std() == pytest.approx(0.1, rel=0.02)
    assert made('lpt').enters_at == 2  # of three layers
    with pytest.raises(ValueError, match=r'depth=0\.9 leaves none of the 3'):
        made('lpt', depth=0.9)


def test_a_late_prompt_is_as_wide_as_hidden_states():
    """OPT-350M's embeddings are narrower. Its positions are a table."""
    kind = made('lpt', 'opt_350m')
    assert kind.width == 32 and base_of('opt_350m').config.embedding_width
    assert kind.first_position == 0
    assert made('lpt', 't5_v1_1').first_position == 5


def test_a_generator_is_what_the_config_says():
    settings = {'length': 7, 'hidden': 3, 'scale': 0.1, 'bias': 0.2}
    kind = made('idpg', **settings)
    assert kind == IDPG(7, 3, 0.1, 0.2)
    big = IDPG(50, 40, 0.1, 0.2).init(start())
    assert big['up'].shape == (40, 50, 32) and big['down'].shape == (32, 40)
    for name in ('down', 'up'):
        assert big[name].std() == pytest.approx(0.1, rel=0.1)
    assert not big['down_bias'].any()
    prompt = big['prompt']
    assert prompt.shape == (50, 32)
    assert -0.2 <= prompt.min() < -0.19 and 0.19 < prompt.max() <= 0.2


def test_a_mixture_is_what_the_config_says():
    settings = {'length': 3, 'hidden': 5, 'count': 2, 'temperature': 2.0}
    kind = made('attempt', **settings)
    assert (kind.length, kind.hidden, kind.temperature) == (3, 5, 2.0)
    assert kind.sources is None and not kind.train_sources
    assert kind == made('attempt', **settings)
    assert hash(kind) == hash(made('attempt', **settings))
    assert [len(ids) for ids in kind.tokens] == [3, 3]
    assert kind.tokens[0] != kind.tokens[1]
    config = config_of('attempt', **settings)
    config.seed = 1
    other = peft.get('attempt').make(config, base_of('llama_linear'))
    assert other == kind  # runs of several seeds can be one bank


def test_a_mixture_starts_at_tokens_and_as_linear_layers_do():
    table = jnp.arange(300.0)[:, None] * jnp.ones(32)
    begin = start()._replace(embedding=table)
    kind = made('attempt', length=9, hidden=200, count=2)
    params = kind.init(begin)
    ids = np.asarray(params['prompt'])
    assert (ids == ids[:, :1]).all() and len(set(ids[:, 0])) == 9
    for name, inputs in (('down', 32), ('up', 200)):
        bound = inputs**-0.5
        assert 0.99 * bound < np.abs(params[name]).max() <= bound
    assert (params['norm_scale'] == 1).all()
    assert not params['norm_bias'].any() and 'sources' not in params
    # Where sources are trained, they start at what they would be.
    free = made('attempt', length=9, count=2, train_sources=True)
    sources = free.init(begin)['sources'][..., 0]
    np.testing.assert_array_equal(sources, kind.tokens)


def test_sources_are_prompts_that_were_saved(tmp_path):
    config = base_of('llama_linear').config
    prompts = [jnp.full((3, 32), float(i)) for i in range(2)]
    folders = tuple(str(tmp_path / f'{i}') for i in range(2))
    for folder, prompt in zip(folders, prompts, strict=True):
        params = {'prompt': prompt}
        hf_adapter.save(Path(folder), Prompt(3), params, 'base', config)
    kind = made('attempt', length=3, sources=folders)
    np.testing.assert_array_equal(kind.sources.prompts, prompts)
    again = made('attempt', length=3, sources=folders)
    assert kind == again and hash(kind) == hash(again)
    assert kind != made('attempt', length=3, sources=folders[::-1])
    with pytest.raises(ValueError, match=r'shape \(3, 32\); .*length=4'):
        made('attempt', length=4, sources=folders)
    with pytest.raises(ValueError, match=r"sources has 'no', which is no fold"):
        made('attempt', length=3, sources=('no',))
    lora = made('lora')
    hf_adapter.save(tmp_path / '1', lora, lora.init(start()), 'base', config)
    with pytest.raises(ValueError, match=r'PROMPT_TUNING.*LORA'):
        made('attempt', length=3, sources=folders)


def test_positions_are_those_of_virtual_tokens():
    expected = {
        'prompt': 10, 'prefix': 10, 'lora': 0, 'ia3': 0, 'full': 0,
        'adapter': 0, 'lpt': 5, 'idpg': 5, 'attempt': 10,
    }  # fmt: skip
    for kind, count in expected.items():
        assert peft.get(kind).positions(config_of(kind)) == count
    kept = config_of('prefix', positions='kept')
    assert peft.get('prefix').positions(kept) == 0


def test_a_target_is_a_whole_name():
    for target in ('q_pro', 'q', 'quer', '_proj'):
        with pytest.raises(ValueError, match='matches none of the linear'):
            modules.find(base_of('llama_linear'), target, 'config.lora.targets')


def test_faults_of_a_kind():
    for kind in peft.names():
        config = centralized.get_config()
        config.peft, config.personalization.clients = kind, 1
        assert not faults(config)
    (line,) = faults(config_of('prefix', mlp=4, layers=(1,)))
    assert 'config.prefix.layers=(1,) must be ().' in line
    (line,) = faults(config_of('lpt', depth=1.0))
    assert 'config.lpt.depth=1.0 must be below 1' in line
    (line,) = faults(config_of('lora', targets='q('))
    assert "config.lora.targets='q(' is no regular expression" in line
    lines = faults(config_of('ia3', outputs='*', inputs='['))
    assert [line.split('=')[0] for line in lines] == [
        'config.ia3.outputs', 'config.ia3.inputs'
    ]  # fmt: skip
    config = config_of('full')
    config.model.quantization, config.personalization.clients = 'int8', 1
    lines = faults(config)
    assert [line.split('=')[0] for line in lines] == [
        'config.model.quantization', 'config.clients_per_round'
    ]  # fmt: skip


def test_what_reads_the_text_is_not_shared():
    """A prompt before a text that is read both ways has a copy a text."""
    for family, shared in (('roberta', False), ('llama_linear', True)):
        transformer = Transformer(base_of(family).config)
        for kind, alike in (
            (IDPG(2, 3), False),
            (Attempt(2, 3), False),
            (Prompt(2), shared),
            (LatePrompt(2, 1, 32), shared),
            (Prefix((2,) * 3, 2, 8), True),
        ):
            packer = TunedModel(transformer, kind).packer(Shape(8, 2, (1,)))
            assert packer.shared == alike


def test_a_whole_model_computes_in_its_dtype():
    """It is trained in f32, and read in that of the model."""
    model = TunedModel(Transformer(base_of('llama_linear').config), Full())
    base = {'x': jnp.ones(2, jnp.bfloat16), 'scale': jnp.ones(2, jnp.float32)}
    bank = jax.tree.map(lambda x: 2 * x[None].astype(jnp.float32), base)
    params = model.bind(base, bank).variables['params']
    for name, x in params.items():
        assert x.dtype == base[name].dtype
        assert x.tolist() == [2, 2]


@pytest.mark.parametrize(
    ('family', 'task'),
    [
        ('llama_linear', 'CAUSAL_LM'),
        ('t5_v1_1', 'SEQ_2_SEQ_LM'),
        ('roberta', 'FEATURE_EXTRACTION'),
    ],
)
def test_a_saved_adapter_names_its_task(family, task, tmp_path):
    config, params = base_of(family).config, {'prompt': jnp.ones((3, 32))}
    hf_adapter.save(tmp_path, Prompt(3), params, 'the base', config)
    saved = tiny_families.tiny.read_json(tmp_path / 'adapter_config.json')
    expected = {
        'peft_type': 'PROMPT_TUNING',
        'task_type': task,
        'base_model_name_or_path': 'the base',
        'num_virtual_tokens': 3,
        'token_dim': 32,
        'num_layers': config.num_layers,
        'num_attention_heads': 4,
    }
    assert expected.items() <= saved.items()
    path = str(tmp_path / 'adapter_model.safetensors')
    with safetensors_lib.safe_open(path, 'numpy') as file:
        assert file.metadata() == {'format': 'pt'}


def start() -> Start:
    return Start(np.random.default_rng(0), jnp.zeros((9, 32)), lambda text: [1])


RAGGED = Prefix((2, 0, 3), 2, 8)


@pytest.mark.parametrize('layer', [0, 1])
def test_a_layer_of_zeros_is_absent_where_that_is_said(layer, lm):
    """Loss and gradient are those of a prefix without that layer."""
    heads, size = lm.config.num_kv_heads, lm.config.head_dim
    rng = np.random.default_rng(0)
    examples = plain.random_examples(rng, (2, 3))
    whole = Prefix((3, 3), heads, size, zeros_absent=True)
    lengths = tuple(0 if i == layer else 3 for i in range(2))
    less = Prefix(lengths, heads, size)
    bank = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=(2, *x.shape)), jnp.float32),
        whole.init(start()),
    )
    name, other = f'0{layer}', f'0{1 - layer}'
    bank['prefix'][name] *= 0
    found = {}
    for kind, params in (
        (whole, bank),
        (less, {'prefix': {other: bank['prefix'][other]}}),
        (dataclasses.replace(whole, zeros_absent=False), bank),
    ):
        model = TunedModel(Transformer(lm.config), kind)
        packer = model.packer(Shape(64, 48, (8,)))
        simulation = PackedSimulation(
            model, lm.base, packer, 'sequence', plain.same
        )
        losses, grads = simulation.gradients(params, examples)
        found[kind] = losses, grads['prefix'][other]
        if kind.zeros_absent:
            assert not np.asarray(grads['prefix'][name]).any()
    one, same, attended = found.values()
    np.testing.assert_allclose(one[0], same[0], rtol=1e-6)
    np.testing.assert_allclose(one[1], same[1], rtol=1e-4, atol=1e-6)
    assert np.abs(one[0] - attended[0]).max() > 1e-3


NOT_IN_PEFT = {
    'absent': Prefix((2, 2), 2, 8, zeros_absent=True),
    'ragged': RAGGED,
    'kept': Prefix((2, 2), 2, 8, shifted=False),
    'of an encoder': Prefix((2, 2), 2, 8, stack=('encoder', 'layers')),
}


@pytest.mark.parametrize('name', NOT_IN_PEFT)
def test_a_prefix_that_peft_has_not_is_refused(name):
    kind = NOT_IN_PEFT[name]
    with pytest.raises(ValueError, match='cannot be written for it'):
        kind.to_hf(kind.init(start()))


def test_a_saved_prefix_has_no_mlp(tmp_path):
    """PEFT saves what the MLP makes, which no MLP can be loaded from."""
    config = dataclasses.replace(base_of('llama_linear').config, num_layers=2)
    kind = Prefix((2, 2), 2, 8, width=4, hidden=5)
    params = kind.init(start())
    hf_adapter.save(tmp_path, kind, params, 'base', config)
    with pytest.raises(ValueError, match=r'config\.prefix\.mlp=0'):
        hf_adapter.load(tmp_path, kind)
    plain = dataclasses.replace(kind, hidden=0)
    rows = plain.expand(hf_adapter.load(tmp_path, plain))
    jax.tree.map(np.testing.assert_array_equal, rows, kind.expand(params))


def test_what_peft_lacks_is_saved_by_its_paths(tmp_path):
    params = RAGGED.init(start()) | {'mlp': {'w1': jnp.ones(2)}}
    params['prefix']['w1'] = jnp.zeros(3)
    hf_adapter.save_plain(tmp_path / 'new', params, 'PEFT has none')
    path = tmp_path / 'new' / 'params.safetensors'
    saved = safetensors.load_file(path)
    assert {name: x.shape for name, x in saved.items()} == {
        'prefix/00': (2, 2, 2, 8),
        'prefix/02': (3, 2, 2, 8),
        'prefix/w1': (3,),
        'mlp/w1': (2,),
    }
    np.testing.assert_array_equal(saved['prefix/02'], params['prefix']['02'])
    with safetensors_lib.safe_open(str(path), 'numpy') as file:
        assert file.metadata() == {'why': 'PEFT has none'}


def test_lora_of_another_scale_is_refused():
    kind = made('lora', rank=2, alpha=4.0)
    saved = kind.to_hf(kind.init(start()))
    kind.from_hf(*saved)
    for other in ({'rank': 2, 'alpha': 8.0}, {'rank': 3, 'alpha': 4.0}):
        with pytest.raises(ValueError, match=r'r=2 and lora_alpha=4\.0; set'):
            made('lora', **other).from_hf(*saved)


def test_an_adapter_of_another_kind_is_refused(tmp_path):
    config = base_of('llama_linear').config
    kind = made('ia3')
    hf_adapter.save(tmp_path, kind, kind.init(start()), 'base', config)
    with pytest.raises(ValueError, match='IA3 adapter .* not one of Prompt'):
        hf_adapter.load(tmp_path, Prompt(3))
