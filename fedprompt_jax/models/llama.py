"""The Llama family: what its HF config and its tensor names mean here."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fedprompt_jax.models.config import DecoderConfig


class Name(NamedTuple):
    """Which checkpoint tensors fill a leaf of the parameter tree."""

    pattern: str  # regex of the whole name; its group is the layer number
    path: str | None  # leaf, joined with '/'; None: recomputed, not loaded
    transpose: bool  # HF's Linear weights are (out, in), our kernels (in, out)


def _layer(name: str, leaf: str, transpose: bool) -> Name:
    pattern = r'(?:model\.)?layers\.(\d+)\.' + name.replace('.', r'\.')
    return Name(pattern, f'layers/{leaf}' if leaf else None, transpose)


# The prefix 'model.' is absent where the headless LlamaModel was saved.
NAMES = (
    Name(r'(?:model\.)?embed_tokens\.weight', 'embed/embedding', False),
    _layer('input_layernorm.weight', 'attention_norm/scale', False),
    _layer('self_attn.q_proj.weight', 'attention/query/kernel', True),
    _layer('self_attn.k_proj.weight', 'attention/key/kernel', True),
    _layer('self_attn.v_proj.weight', 'attention/value/kernel', True),
    _layer('self_attn.o_proj.weight', 'attention/output/kernel', True),
    _layer('post_attention_layernorm.weight', 'mlp_norm/scale', False),
    _layer('mlp.gate_proj.weight', 'mlp/gate/kernel', True),
    _layer('mlp.up_proj.weight', 'mlp/up/kernel', True),
    _layer('mlp.down_proj.weight', 'mlp/down/kernel', True),
    _layer('self_attn.rotary_emb.inv_freq', '', False),
    Name(r'(?:model\.)?rotary_emb\.inv_freq', None, False),
    Name(r'(?:model\.)?norm\.weight', 'final_norm/scale', False),
    Name(r'lm_head\.weight', 'head/kernel', True),
)

# Keys that change the computation, with the values under which it is ours.
_SUPPORTED: dict[str, tuple[Any, ...]] = {
    'model_type': ('llama',),
    'hidden_act': ('silu', None),
    'attention_bias': (False, None),
    'mlp_bias': (False, None),
    'sliding_window': (None,),
    'partial_rotary_factor': (1.0, None),
    'quantization_config': (None,),
}
_SIZES = (
    'vocab_size',
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
)


def decoder_config(hf: Mapping[str, Any]) -> DecoderConfig:
    """The decoder that an HF `config.json` describes, with HF's defaults.

    Takes the keys of transformers 4 (`rope_theta`, `rope_scaling`) and 5
    (`rope_parameters`). Raises ValueError, listing every fault, where the
    model would compute something that our decoder does not.
    """
    faults = [*_unsupported(hf), *_rope_faults(hf), *_bad_sizes(hf)]
    if not faults:
        faults = list(_head_faults(hf))
    if faults:
        raise ValueError('config.json of the model: ' + '; '.join(faults))
    heads = hf['num_attention_heads']
    return DecoderConfig(
        vocab_size=hf['vocab_size'],
        width=hf['hidden_size'],
        num_layers=hf['num_hidden_layers'],
        num_heads=heads,
        num_kv_heads=_get(hf, 'num_key_value_heads', heads),
        head_dim=_get(hf, 'head_dim', hf['hidden_size'] // heads),
        mlp_width=hf['intermediate_size'],
        rope_theta=float(_rope_thetas(hf)[0]),
        norm_eps=float(_get(hf, 'rms_norm_eps', 1e-6)),
        tied_embeddings=bool(_get(hf, 'tie_word_embeddings', False)),
        max_positions=_get(hf, 'max_position_embeddings', 2048),
    )


def _get(hf: Mapping[str, Any], key: str, default: Any) -> Any:
    """`hf[key]`, where HF writes null for 'take the default'."""
    value = hf.get(key)
    return default if value is None else value


def _unsupported(hf: Mapping[str, Any]) -> Iterator[str]:
    for key, allowed in _SUPPORTED.items():
        value = hf.get(key)
        if value not in allowed:
            yield f'{key}={value!r} is not supported, only {allowed[0]!r}'
    kinds = set(hf.get('layer_types') or ())
    if kinds - {'full_attention'}:
        yield (
            f'layer_types has {sorted(kinds)}, only full_attention is supported'
        )


def _rope_faults(hf: Mapping[str, Any]) -> Iterator[str]:
    for key in ('rope_scaling', 'rope_parameters'):
        rope = hf.get(key) or {}
        kind = rope.get('rope_type', rope.get('type', 'default'))
        if kind != 'default':
            yield (
                f'{key} has rope_type={kind!r}, only unscaled rotary embeddings'
                " ('default') are supported"
            )
        if rope.get('partial_rotary_factor') not in (1.0, None):
            yield (
                f'{key} has partial_rotary_factor='
                f'{rope["partial_rotary_factor"]!r}, only 1.0 is supported'
            )
    thetas = _rope_thetas(hf)
    if len(set(thetas)) > 1:
        yield (
            f'rope_parameters has rope_theta={thetas[0]} but rope_theta='
            f'{thetas[1]}: delete one of the two'
        )


def _rope_thetas(hf: Mapping[str, Any]) -> list[float]:
    """Every base that the config names, or HF's default."""
    named = [
        (hf.get('rope_parameters') or {}).get('rope_theta'),
        hf.get('rope_theta'),
    ]
    return [theta for theta in named if theta is not None] or [10000.0]


def _bad_sizes(hf: Mapping[str, Any]) -> Iterator[str]:
    optional = ('num_key_value_heads', 'head_dim', 'max_position_embeddings')
    for key in (*_SIZES, *optional):
        value = hf.get(key)
        if value is None and key in optional:
            continue
        if type(value) is not int or value < 1:
            yield f'{key}={value!r} must be a positive integer'


def _head_faults(hf: Mapping[str, Any]) -> Iterator[str]:
    heads, width = hf['num_attention_heads'], hf['hidden_size']
    groups = _get(hf, 'num_key_value_heads', heads)
    if heads % groups:
        yield (
            f'num_attention_heads={heads} must be a multiple of '
            f'num_key_value_heads={groups}'
        )
    if hf.get('head_dim') is None and width % heads:
        yield (
            f'hidden_size={width} must be a multiple of '
            f'num_attention_heads={heads} where head_dim is not given'
        )
    elif _get(hf, 'head_dim', width // heads) % 2:
        yield 'head_dim must be even: rotary embeddings turn pairs'
