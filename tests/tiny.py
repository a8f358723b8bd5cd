"""Tiny random Llama checkpoints in Hugging Face's layout, made with numpy."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 (numpy learns bfloat16 from it)
import numpy as np
from safetensors import numpy as safetensors
import tokenizers
from tokenizers import (
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)

BOS, EOS, PAD = '<|im_start|>', '<|im_end|>', '<|pad|>'
VOCAB_SIZE = 300
TEXT = (
    'Answer the question about the passage. Question: what is the name of '
    'the river? Answer: the name of the river is not in the passage. '
    'Is this review positive or negative? Review: I like it. positive. '
) * 4


def make_checkpoint(
    folder: str | Path,
    *,
    seed: int = 0,
    width: int = 32,
    num_layers: int = 2,
    num_heads: int = 4,
    num_kv_heads: int = 2,
    mlp_width: int = 64,
    tied: bool = True,
    shards: int = 1,
    dtype: str = 'float32',
    text: str = TEXT,
) -> Path:
    """A complete HF folder: config, weights, tokenizer; returns `folder`.

    Weights are normal with deviation 0.15, so that logits vary from token to
    token; norm scales are near 1. The same seed gives the same bytes. The
    tokenizer is that of `text`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(text)
    tokenizer.save(str(folder / 'tokenizer.json'))
    ids = {
        f'{kind}_token_id': tokenizer.token_to_id(token)
        for kind, token in (('bos', BOS), ('eos', EOS), ('pad', PAD))
    }
    config = {
        'architectures': ['LlamaForCausalLM'],
        'model_type': 'llama',
        'vocab_size': VOCAB_SIZE,
        'hidden_size': width,
        'intermediate_size': mlp_width,
        'num_hidden_layers': num_layers,
        'num_attention_heads': num_heads,
        'num_key_value_heads': num_kv_heads,
        'head_dim': width // num_heads,
        'hidden_act': 'silu',
        'max_position_embeddings': 512,
        'rms_norm_eps': 1e-5,
        'rope_theta': 10000.0,
        'tie_word_embeddings': tied,
        'torch_dtype': dtype,
        **ids,
    }
    write_json(folder / 'config.json', config)
    write_json(folder / 'generation_config.json', ids)
    write_json(
        folder / 'tokenizer_config.json',
        {
            'tokenizer_class': 'PreTrainedTokenizerFast',
            'bos_token': BOS,
            'eos_token': EOS,
            'pad_token': PAD,
            'add_bos_token': False,
        },
    )
    tensors = random_tensors(config, seed)
    save_tensors(folder, cast(tensors, dtype), shards)
    return folder


def train_tokenizer(text: str = TEXT) -> tokenizers.Tokenizer:
    """A byte-level BPE of 300 tokens, digits one by one, no BOS added."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        show_progress=False,
        special_tokens=['<|endoftext|>', BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([text], trainer)
    assert tokenizer.get_vocab_size() == VOCAB_SIZE
    return tokenizer


def add_bos(folder: Path, eos: bool = False) -> None:
    """Has the tokenizer of a folder begin (and end) every text."""
    path = str(folder / 'tokenizer.json')
    tokenizer = tokenizers.Tokenizer.from_file(path)
    ends = [BOS, EOS] if eos else [BOS]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=' '.join([BOS, '$A', *ends[1:]]),
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in ends],
    )
    tokenizer.save(path)


def random_tensors(
    config: dict[str, Any], seed: int, deviation: float = 0.15
) -> dict[str, np.ndarray]:
    """All tensors by their HF names, f32, linear weights (out, in)."""
    rng = np.random.default_rng(seed)
    width, mlp = config['hidden_size'], config['intermediate_size']
    query = config['num_attention_heads'] * config['head_dim']
    key = config['num_key_value_heads'] * config['head_dim']
    layer = {
        'input_layernorm': (width,),
        'self_attn.q_proj': (query, width),
        'self_attn.k_proj': (key, width),
        'self_attn.v_proj': (key, width),
        'self_attn.o_proj': (width, query),
        'post_attention_layernorm': (width,),
        'mlp.gate_proj': (mlp, width),
        'mlp.up_proj': (mlp, width),
        'mlp.down_proj': (width, mlp),
    }
    shapes = {'model.embed_tokens': (config['vocab_size'], width)}
    for i in range(config['num_hidden_layers']):
        shapes |= {f'model.layers.{i}.{n}': s for n, s in layer.items()}
    shapes['model.norm'] = (width,)
    if not config['tie_word_embeddings']:
        shapes['lm_head'] = (config['vocab_size'], width)
    return {
        f'{name}.weight': np.float32(
            rng.normal(float(len(shape) == 1), deviation, shape)
        )
        for name, shape in shapes.items()
    }


def cast(tensors: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """The tensors in another dtype, such as 'bfloat16'."""
    return {name: t.astype(np.dtype(dtype)) for name, t in tensors.items()}


def save_tensors(
    folder: Path, tensors: dict[str, np.ndarray], shards: int = 1
) -> None:
    """Writes model.safetensors, or `shards` files and their index."""
    if shards == 1:
        safetensors.save_file(tensors, folder / 'model.safetensors')
        return
    names = sorted(tensors)
    weight_map = {}
    for i in range(shards):
        file = f'model-{i + 1:05d}-of-{shards:05d}.safetensors'
        part = {name: tensors[name] for name in names[i::shards]}
        safetensors.save_file(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    write_json(
        folder / 'model.safetensors.index.json',
        {'metadata': {}, 'weight_map': weight_map},
    )


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file."""
    return json.loads(path.read_text('utf-8'))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(content, indent=2) + '\n', 'utf-8')


def edit_json(path: Path, **changes: Any) -> None:
    """Changes some keys of a JSON file; None deletes one."""
    content = read_json(path) | changes
    content = {k: v for k, v in content.items() if v is not None}
    write_json(path, content)
