"""Models of random sizes and parts, made and saved by transformers."""

from collections.abc import Callable, Iterator
from pathlib import Path
import tempfile
from typing import Any

import jax
import numpy as np
import torch
import transformers

from fedprompt_jax.models import source, weights
from fedprompt_jax.models.transformer import Transformer
from tests.parity import table

SEEDS = 4
VOCAB, POSITIONS, TOKENS = 101, 64, 40


class Draw:
    """Random choices by a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *options: Any) -> Any:
        return options[self.rng.integers(len(options))]


def llama_like(draw: Draw, kind: str) -> dict[str, Any]:
    """Grouped heads of any size, windows, biases, rotary scaling."""
    heads = draw(2, 4, 6)
    fields = {
        'hidden_size': heads * draw(8, 12),
        'intermediate_size': draw(20, 44),
        'num_hidden_layers': draw(1, 3),
        'num_attention_heads': heads,
        'num_key_value_heads': draw(1, 2, heads),
        'max_position_embeddings': POSITIONS,
        'tie_word_embeddings': draw(True, False),
    }
    if kind != 'qwen2':
        fields['head_dim'] = draw(8, 16, 20)
    if kind in ('mistral', 'gemma2', 'gemma3_text'):
        fields['sliding_window'] = draw(3, 7)
    if kind.startswith('qwen'):
        fields |= {
            'use_sliding_window': draw(True, False),
            'sliding_window': 5,
            'max_window_layers': draw(0, 1),
        }
    if kind == 'llama':
        fields |= {
            'attention_bias': draw(True, False),
            'mlp_bias': draw(True, False),
        }
    if kind.startswith('gemma'):
        fields['tie_word_embeddings'] = True
    if kind in ('gemma2', 'gemma3_text'):
        fields['query_pre_attn_scalar'] = draw(8, 17, 256)
    return fields


def gpt2(draw: Draw, kind: str) -> dict[str, Any]:
    del kind
    heads = draw(2, 3, 4)
    return {
        'n_embd': heads * draw(8, 12),
        'n_layer': draw(1, 3),
        'n_head': heads,
        'n_positions': POSITIONS,
        'n_inner': draw(None, 40),
        'activation_function': draw('gelu_new', 'relu', 'gelu'),
        'tie_word_embeddings': draw(True, False),
    }


def opt(draw: Draw, kind: str) -> dict[str, Any]:
    del kind
    heads = draw(2, 3)
    width = heads * draw(8, 12)
    return {
        'hidden_size': width,
        'num_hidden_layers': draw(1, 3),
        'ffn_dim': 40,
        'max_position_embeddings': POSITIONS,
        'num_attention_heads': heads,
        'word_embed_proj_dim': draw(width, width // 2),
        'do_layer_norm_before': draw(True, False),
        'activation_function': draw('relu', 'gelu'),
    }


def gpt_neox(draw: Draw, kind: str) -> dict[str, Any]:
    del kind
    heads = draw(2, 3)
    return {
        'hidden_size': heads * 16,
        'num_hidden_layers': draw(1, 3),
        'num_attention_heads': heads,
        'intermediate_size': 40,
        'max_position_embeddings': POSITIONS,
        'rotary_pct': draw(0.25, 0.5, 1.0),
        'use_parallel_residual': draw(True, False),
        'attention_bias': draw(True, False),
        'tie_word_embeddings': draw(True, False),
    }


def roberta(draw: Draw, kind: str) -> dict[str, Any]:
    del kind
    heads = draw(2, 3)
    return {
        'hidden_size': heads * draw(8, 12),
        'num_hidden_layers': draw(1, 3),
        'num_attention_heads': heads,
        'intermediate_size': 40,
        'max_position_embeddings': POSITIONS + 4,
        'type_vocab_size': draw(1, 2),
        'pad_token_id': draw(0, 1, 3),
        'hidden_act': draw('gelu', 'relu', 'gelu_new'),
        'tie_word_embeddings': draw(True, False),
        'layer_norm_eps': draw(1e-5, 1e-12),
    }


def t5(draw: Draw, kind: str) -> dict[str, Any]:
    del kind
    return {
        'd_model': draw(24, 40),
        'd_kv': draw(8, 12),
        'd_ff': draw(20, 44),
        'num_layers': draw(1, 3),
        'num_decoder_layers': draw(1, 2, 4),
        'num_heads': draw(2, 3),
        'relative_attention_num_buckets': draw(8, 32),
        'relative_attention_max_distance': draw(20, 128),
        'feed_forward_proj': draw('relu', 'gated-gelu', 'gated-silu', 'gelu'),
        'tie_word_embeddings': draw(True, False),
        'decoder_start_token_id': draw(0, 3),
    }


KINDS: dict[str, Callable[[Draw, str], dict[str, Any]]] = {
    **dict.fromkeys(
        ('llama', 'mistral', 'qwen2', 'qwen3', 'gemma', 'gemma2'), llama_like
    ),
    'gemma3_text': llama_like,
    'gpt2': gpt2,
    'opt': opt,
    'gpt_neox': gpt_neox,
    **dict.fromkeys(('roberta', 'xlm-roberta'), roberta),
    **dict.fromkeys(('t5', 'mt5'), t5),
}


def compare() -> Iterator[table.Row]:
    """Logits of each kind's models, all tokens read at once."""
    for kind, fields in KINDS.items():
        for seed in range(SEEDS):
            yield compare_one(kind, fields(Draw(seed), kind), seed)
        jax.clear_caches()


def compare_one(kind: str, fields: dict[str, Any], seed: int) -> table.Row:
    """Ours against a model that transformers has saved and loaded again."""
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCAB, **fields)
    auto = {
        'roberta': transformers.AutoModelForMaskedLM,
        'xlm-roberta': transformers.AutoModelForMaskedLM,
        't5': transformers.AutoModelForSeq2SeqLM,
        'mt5': transformers.AutoModelForSeq2SeqLM,
    }.get(kind, transformers.AutoModelForCausalLM)
    torch.manual_seed(seed)
    model = auto.from_config(config)
    for name, parameter in model.named_parameters():
        scale = parameter.ndim == 1 and 'bias' not in name
        mean = float(scale and not kind.startswith('gemma'))
        parameter.data.normal_(mean, 0.2)
    tokens = np.random.default_rng(seed).integers(4, VOCAB, (2, 2, TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        theirs = auto.from_pretrained(folder).eval()
        sizes = source.read_config(folder)
        names = source.read_names(folder)
        base = weights.load_weights(Path(folder), names, sizes, 'float32')
    inputs = {'input_ids': torch.tensor(tokens[0])}
    more = []
    if sizes.encoder is not None:
        inputs['decoder_input_ids'] = torch.tensor(tokens[1])
        more = [tokens[1]]
    with torch.no_grad():
        expected = theirs(**inputs).logits.numpy()
    got = Transformer(sizes).apply({'params': base}, tokens[0], *more)
    what = f'{kind}: random parts {seed}'
    unit = max(1.0, float(np.abs(expected).max()))
    off = float(np.abs(np.asarray(got) - expected).max()) / unit
    return table.Row('random', what, 'max abs', off, 1e-4)
