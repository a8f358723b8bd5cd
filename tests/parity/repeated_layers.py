"""Auxiliary models: transformers' models whose layers are tied by hand."""

from collections.abc import Iterator
from pathlib import Path
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import Start
from fedprompt_jax.models import auxiliary, source, weights
from fedprompt_jax.models.layers import Places
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prefix import Prefix
from tests.parity import table
from tests.parity.random_configs import POSITIONS, TOKENS, VOCAB

LAYERS, PREFIX = 4, 5
CELLS = ((0, 1), (1, 2))  # start and size
KINDS: dict[str, dict[str, Any]] = {
    'gpt2': {
        'n_embd': 32,
        'n_layer': LAYERS,
        'n_head': 4,
        'n_positions': POSITIONS,
    },
    'opt': {
        'hidden_size': 32,
        'word_embed_proj_dim': 32,
        'ffn_dim': 40,
        'num_hidden_layers': LAYERS,
        'num_attention_heads': 4,
        'max_position_embeddings': POSITIONS,
    },
    'llama': {
        'hidden_size': 32,
        'intermediate_size': 40,
        'num_hidden_layers': LAYERS,
        'num_attention_heads': 4,
        'num_key_value_heads': 2,
        'max_position_embeddings': POSITIONS,
    },
}


def compare() -> Iterator[table.Row]:
    """Logits with and without a prefix, and the gradient of the cell."""
    for kind, fields in KINDS.items():
        for start, size in CELLS:
            yield from compare_one(kind, fields, start, size)
        jax.clear_caches()


def compare_one(
    kind: str, fields: dict[str, Any], start: int, size: int
) -> Iterator[table.Row]:
    """The rows of one model and cell."""
    torch.manual_seed(size)
    theirs = transformers.AutoModelForCausalLM.from_config(
        transformers.AutoConfig.for_model(kind, vocab_size=VOCAB, **fields),
        attn_implementation='eager',
    ).eval()
    for name, parameter in theirs.named_parameters():
        scale = parameter.ndim == 1 and 'bias' not in name
        parameter.data.normal_(float(scale), 0.2)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        full, names = source.read_config(folder), source.read_names(folder)
        base = weights.load_weights(Path(folder), names, full, 'float32')
    tie(theirs, start, size)
    cell = auxiliary.config(full, start, size, shared=True)
    stored = auxiliary.params(base, start, size)
    tokens = np.random.default_rng(size).integers(4, VOCAB, (2, TOKENS))
    what = f'{kind}: layers {start} to {start + size - 1} repeated'

    model = Transformer(cell)
    out = theirs(input_ids=torch.tensor(tokens), use_cache=False).logits
    got = model.apply({'params': stored}, tokens)
    yield table.max_abs('repeated', what, got, out.detach().numpy(), 1e-4)

    # The gradient of a shared parameter is the sum over its uses.
    out.sin().sum().backward()
    grad = jax.grad(
        lambda p: jnp.sin(model.apply({'params': p}, tokens)).sum()
    )(stored)
    yield table.relative(
        'repeated',
        f'{what}, gradient of its kernels',
        *zip(*_kernels(grad, theirs, names, size), strict=True),
        1e-4,
    )

    kv = full.num_kv_heads, full.head_dim
    prefix = Prefix((PREFIX,) * LAYERS, *kv, scale=0.5)
    params = prefix.init(Start(np.random.default_rng(0), None, lambda t: []))
    with torch.no_grad():
        out = theirs(
            input_ids=torch.tensor(tokens),
            past_key_values=cache_of(params, len(tokens)),
        ).logits
    got = prefix_logits(TunedModel(model, prefix), stored, params, tokens)
    yield table.max_abs(
        'repeated', f'{what}, with a prefix', got, out.numpy(), 1e-4
    )


def tie(model: Any, start: int, size: int) -> None:
    """Layer i of a PyTorch model has the parameters of start + i % size.

    The modules stay, since each knows its place in a cache.
    """
    decoder = model.base_model
    decoder = getattr(decoder, 'decoder', decoder)  # OPT's
    layers = decoder.h if hasattr(decoder, 'h') else decoder.layers
    cell = [
        layer.state_dict(keep_vars=True)
        for layer in layers[start : start + size]
    ]
    for i, layer in enumerate(layers):
        layer.load_state_dict(cell[i % size], assign=True)
    first, again = layers[0].parameters(), layers[size].parameters()
    assert all(a is b for a, b in zip(first, again, strict=True))


def _kernels(
    grad, theirs: Any, names, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Our gradient of each kernel of a cell, and that of its tied layers."""
    of_name = {
        name.removeprefix('transformer.'): parameter.grad.numpy()
        for name, parameter in theirs.named_parameters(remove_duplicate=False)
    }
    flat = _by_path(grad)
    for rule in names:
        if not rule.path.endswith('/kernel') or rule.path not in flat:
            continue
        if not rule.path.startswith('layers/'):
            continue
        for i in range(size):
            name = rule.example(i).removeprefix('transformer.')
            other = of_name[name]
            yield flat[rule.path][i], other.T if rule.transpose else other


def _by_path(tree) -> dict[str, np.ndarray]:
    """The leaves of a parameter tree by their paths."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        '/'.join(key.key for key in keys): np.asarray(x) for keys, x in leaves
    }


def cache_of(params, rows: int) -> transformers.DynamicCache:
    """PyTorch's cache of a prefix, the same for all rows."""
    cache = transformers.DynamicCache()
    for layer, x in sorted(params['prefix'].items()):
        # [P, 2, K, h] -> keys and values [R, K, P, h] each
        x = torch.tensor(np.asarray(x)).permute(1, 2, 0, 3)
        keys, values = (part.expand(rows, -1, -1, -1) for part in x)
        cache.update(keys, values, int(layer))
    return cache


def prefix_logits(model: TunedModel, base, params, tokens) -> np.ndarray:
    """Logits [R, L, V] of rows of one owner, each behind a prefix."""
    bank = jax.tree.map(lambda x: x[None], params)
    rows, slots = len(tokens), model.kind.slots
    slot = np.r_[np.arange(slots), np.full(tokens.shape[1], -1)]
    length = len(slot)
    places = Places(
        *(
            jnp.broadcast_to(x, (rows, length))
            for x in (np.arange(length), np.zeros(length, int), slot)
        )
    )
    mask = np.broadcast_to(np.tri(length, dtype=bool), (rows, length, length))
    padded = np.pad(tokens, ((0, 0), (slots, 0)))
    bound = model.bind(base, bank)
    hidden, _ = bound.hidden_states(padded, places, mask)
    return np.asarray(bound.logits(hidden[:, slots:]))
