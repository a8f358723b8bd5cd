"""How many parameters models and prompts have, against published counts.

The configs are those of the checkpoints on the hub, their sizes alone.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fedavg_adam
from fedprompt_jax import peft
from fedprompt_jax.bank.kind import ModelInfo, Start
from fedprompt_jax.federated import ledger
from fedprompt_jax.models import families, sizes

_LLAMA = {'model_type': 'llama', 'vocab_size': 32000}
CONFIGS = {
    'gpt2-xl': {
        'model_type': 'gpt2',
        'n_embd': 1600,
        'n_layer': 48,
        'n_head': 25,
    },
    'gpt2-large': {
        'model_type': 'gpt2',
        'n_embd': 1280,
        'n_layer': 36,
        'n_head': 20,
    },
    'opt-1.3b': {
        'model_type': 'opt',
        'hidden_size': 2048,
        'ffn_dim': 8192,
        'num_hidden_layers': 24,
        'num_attention_heads': 32,
    },
    'roberta-large': {
        'model_type': 'roberta',
        'hidden_size': 1024,
        'intermediate_size': 4096,
        'num_hidden_layers': 24,
        'num_attention_heads': 16,
        'max_position_embeddings': 514,
        'type_vocab_size': 1,
    },
    'open_llama_3b': _LLAMA
    | {
        'hidden_size': 3200,
        'intermediate_size': 8640,
        'num_hidden_layers': 26,
        'num_attention_heads': 32,
    },
    'open_llama_7b': _LLAMA
    | {
        'hidden_size': 4096,
        'intermediate_size': 11008,
        'num_hidden_layers': 32,
        'num_attention_heads': 32,
    },
    't5-v1_1-xxl': {
        'model_type': 't5',
        'd_model': 4096,
        'd_kv': 64,
        'd_ff': 10240,
        'num_heads': 64,
        'num_layers': 24,
        'feed_forward_proj': 'gated-gelu',
        'tie_word_embeddings': False,
    },
}
# FedPepTAO (2310.15080): T and the floats of a message with all layers, and
# with half of them. FedSP (2311.06805): T = 40 in all layers.
PREFIXES = [
    ('roberta-large', 20, 983_040, 491_520),
    ('gpt2-large', 5, 460_800, 230_400),
    ('open_llama_3b', 5, 832_000, 416_000),
    ('open_llama_7b', 5, 1_310_720, 655_360),
    ('gpt2-xl', 40, 6_144_000, 3_072_000),
    ('opt-1.3b', 40, 3_932_160, 1_966_080),
]
# Counted by torch: the whole model, a tied table once.
MODELS = [
    ('gpt2-xl', 1_557_611_200),
    ('opt-1.3b', 1_315_758_080),
    # Lester et al.'s T5 XXL: 11 B, with an untied head.
    ('t5-v1_1-xxl', 11_135_332_352),
]
# FedSP's auxiliary model: embeddings, one layer shared by all, final norm.
AUXILIARY = [('gpt2-xl', 112_793_600), ('opt-1.3b', 157_517_824)]


def config_of(name: str):
    return families.model_config(CONFIGS[name])


def params_of(name: str, config):
    """Shapes of what the config trains of a model."""
    sizes_of = config_of(name)
    names = families.names(CONFIGS[name])
    base = ModelInfo(sizes_of, names, sizes.param_shapes(sizes_of))
    made = peft.get(config.peft).make(config, base)
    width = sizes_of.embedding_width or sizes_of.width
    start = Start(np.random.default_rng(0), jnp.zeros((9, width)), lambda t: [])
    return jax.eval_shape(lambda: made.init(start))


def trained(name: str, kind: str, **settings) -> tuple[int, int]:
    """Parameters that are trained, and the bytes of a message."""
    config = fedavg_adam.get_config()
    config.peft = kind
    config[kind].update(settings)
    params = params_of(name, config)
    leaves = jax.tree.leaves(params)
    return sum(math.prod(x.shape) for x in leaves), ledger.tree_bytes(params)


@pytest.mark.parametrize(('name', 'length', 'everywhere', 'half'), PREFIXES)
def test_prefixes_are_as_long_as_the_papers_say(name, length, everywhere, half):
    layers = tuple(range(config_of(name).num_layers // 2))
    for chosen, count in (((), everywhere), (layers, half)):
        got = trained(name, 'prefix', length=length, layers=chosen)
        assert got == (count, 4 * count)


def test_a_prefix_of_an_mlp():
    # FedSP: e has 64,000, and the MLP (1600 to 512 to 48 * 2 * 1600) 79.6 M.
    count, _ = trained('gpt2-xl', 'prefix', length=40, mlp=512)
    mlp = 1600 * 512 + 512 + 513 * 48 * 2 * 1600
    assert count == 64_000 + mlp
    assert round(mlp / 1e6, 1) == 79.6


def test_a_prompt_and_lora():
    assert trained('t5-v1_1-xxl', 'prompt', length=100)[0] == 409_600
    # Hu et al., table 12: rank 8 for query and value of GPT-2's kind.
    count, _ = trained('opt-1.3b', 'lora', rank=8)
    assert count == 24 * 2 * 8 * (2048 + 2048)


@pytest.mark.parametrize(('name', 'count'), MODELS)
def test_models(name, count):
    assert sizes.num_params(config_of(name)) == count


@pytest.mark.parametrize(('name', 'count'), AUXILIARY)
def test_a_model_of_one_layer(name, count):
    one = dataclasses.replace(config_of(name), num_layers=1)
    assert sizes.num_params(one) == count


def test_what_tokens_pass_is_all_there_is():
    """Layers and heads, each parameter once; but norms are no products."""
    t5 = config_of('t5-v1_1-xxl')
    shapes = sizes.param_shapes(t5)
    stacks = sum(
        math.prod(shape)
        for path, shape in shapes.items()
        if 'layers/' in path or path == 'head/kernel'
    )
    assert sizes.block_params(t5) + sizes.target_params(t5) == stacks
    # Keys and values that the decoder makes of every token of the query.
    crossed = 2 * t5.num_layers * t5.width * t5.num_heads * t5.head_dim
    encoder = sum(
        math.prod(shape)
        for path, shape in shapes.items()
        if path.startswith('encoder/layers/')
    )
    assert sizes.block_params(t5) == encoder + crossed


def test_what_a_target_passes_is_the_table_as_wide_as_it_is():
    """OPT 350M's embeddings are half as wide as the model."""
    narrow = {'hidden_size': 64, 'word_embed_proj_dim': 32, 'ffn_dim': 96}
    few = {'num_hidden_layers': 1, 'num_attention_heads': 4, 'vocab_size': 90}
    opt = families.model_config({'model_type': 'opt'} | narrow | few)
    assert sizes.target_params(opt) == 90 * 32
    untied = dataclasses.replace(opt, tied_embeddings=False)
    assert sizes.target_params(untied) == 90 * 32


def test_a_prefix_of_t5_is_of_its_encoder():
    """As deep as the encoder, which differs here from the decoder."""
    fields = CONFIGS['t5-v1_1-xxl'] | {'num_layers': 6, 'num_decoder_layers': 2}
    config = families.model_config(fields)
    assert config.reader.num_layers == 6 and not config.reader.causal
    assert config.num_layers == 2 and config.causal
