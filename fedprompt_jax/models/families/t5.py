"""T5, T5 1.1, Flan-T5 and mT5: an encoder, and a decoder that reads it.

Positions are relative, by a table that each stack has once. T5 scales hidden
states before its tied head; 1.1 has a head of its own and a gated MLP.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.hf_config import HFConfig
from fedprompt_jax.models.names import Name, in_layers

MODEL_TYPES = ('t5', 'mt5')

# Of feed_forward_proj behind 'gated-'; HF's 'gated-gelu' is the tanh form.
_ACTIVATIONS = {
    'relu': 'relu',
    'gelu': 'gelu',
    'gelu_new': 'gelu_tanh',
    'silu': 'silu',
}
_UNBOUNDED = 1 << 20  # relative positions: no row of a table ends


def _attention(number: int, module: str, leaf: str) -> list:
    kernels = {'q': 'query', 'k': 'key', 'v': 'value', 'o': 'output'}
    rules = [
        (f'layer.{number}.{module}.{hf}.weight', f'{leaf}/{name}/kernel', True)
        for hf, name in kernels.items()
    ]
    norm = f'layer.{number}.layer_norm.weight'
    return [*rules, (norm, f'{leaf}_norm/scale', False)]


def _mlp(number: int) -> list:
    dense = f'layer.{number}.DenseReluDense'
    return [
        (f'{dense}.wi_0.weight', 'mlp/gate/kernel', True),
        (f'{dense}.wi_1.weight', 'mlp/up/kernel', True),
        (f'{dense}.wi.weight', 'mlp/up/kernel', True),
        (f'{dense}.wo.weight', 'mlp/down/kernel', True),
        (f'layer.{number}.layer_norm.weight', 'mlp_norm/scale', False),
    ]


def _table(stack: str, path: str) -> Name:
    name = r'\.block\.0\.layer\.0\.SelfAttention\.relative_attention_bias'
    return Name(stack + name + r'\.weight', f'{path}relative_bias/embedding')


_ENCODER = (
    _table('encoder', 'encoder/'),
    *(
        rule._replace(path=f'encoder/{rule.path}')
        for rule in in_layers(
            r'encoder\.block\.(\d+)\.',
            *_attention(0, 'SelfAttention', 'attention'),
            *_mlp(1),
        )
    ),
    Name(r'encoder\.final_layer_norm\.weight', 'encoder/final_norm/scale'),
)
_DECODER = (
    _table('decoder', ''),
    *in_layers(
        r'decoder\.block\.(\d+)\.',
        *_attention(0, 'SelfAttention', 'attention'),
        *_attention(1, 'EncDecAttention', 'cross_attention'),
        *_mlp(2),
        # A table that old checkpoints have and nothing reads.
        ('layer.1.EncDecAttention.relative_attention_bias.weight', '', False),
    ),
    Name(r'decoder\.final_layer_norm\.weight', 'final_norm/scale'),
)
_VOCABULARY = (
    Name(r'shared\.weight', 'embed/embedding'),
    Name(
        r'(?:encoder|decoder)\.embed_tokens\.weight',
        '',
        copy_of='embed/embedding',
    ),
    Name(r'lm_head\.weight', 'head/kernel', True),
)


def names(fields: Mapping[str, Any]) -> tuple[Name, ...]:
    """The MLP's first kernel is wi, or wi_0 and wi_1 where it is gated."""
    absent = r'\.wi\.' if _is_gated(fields) else r'\.wi_'
    every = (*_VOCABULARY, *_ENCODER, *_DECODER)
    return tuple(rule for rule in every if absent not in rule.pattern)


def _is_gated(fields: Mapping[str, Any]) -> bool:
    default = 'gated-gelu' if fields['model_type'] == 'mt5' else 'relu'
    return str(fields.get('feed_forward_proj') or default).startswith('gated-')


def model_config(fields: Mapping[str, Any]) -> ModelConfig:
    """Encoder and decoder of a config.json; ValueError lists faults.

    'has_head', which is not in the file, says whether the checkpoint has a
    head of its own: config.json cannot be trusted in that.
    """
    hf = HFConfig(fields)
    multilingual = hf.get('model_type') == 'mt5'
    gated = _is_gated(fields)
    kind = str(hf.get('feed_forward_proj', 'gated-gelu' if gated else 'relu'))
    name = 'gelu_new' if kind == 'gated-gelu' else kind.split('-')[-1]
    if name not in _ACTIVATIONS:
        hf.faults.append(f'feed_forward_proj={kind!r} is not supported')
    layers, width = hf.size('num_layers', 6), hf.size('d_model', 512)
    heads = hf.size('num_heads', 8)
    said_tied = hf.get('tie_word_embeddings', True) is not False
    scaled = bool(hf.get('scale_decoder_outputs', said_tied))
    scaled = scaled and not multilingual
    config = ModelConfig(
        vocab_size=hf.size('vocab_size', 32128),
        width=width,
        num_layers=hf.size('num_decoder_layers', layers),
        num_heads=heads,
        num_kv_heads=heads,
        head_dim=hf.size('d_kv', 64),
        mlp_width=hf.size('d_ff', 2048),
        norm_eps=hf.real('layer_norm_epsilon', 1e-6),
        tied_embeddings=not hf.get('has_head', not said_tied),
        max_positions=_UNBOUNDED,
        query_scale=1.0,
        gated=gated,
        activation=_ACTIVATIONS.get(name, 'relu'),
        start_token=int(
            hf.get('decoder_start_token_id', hf.get('pad_token_id', 0))
        ),
        relative_buckets=hf.size('relative_attention_num_buckets', 32),
        relative_distance=hf.size('relative_attention_max_distance', 128),
        head_scale=width**-0.5 if scaled else 1.0,
    )
    hf.raise_faults()
    encoder = dataclasses.replace(config, num_layers=layers, causal=False)
    return dataclasses.replace(config, encoder=encoder)
