"""A client's auxiliary model: some layers of the server's, and all around them.

FedSP (arXiv 2311.06805): the server keeps its model. A client has embeddings,
`size` consecutive layers and the head of it; the layers are repeated through
the depth of the server's model, so that prefixes of all its layers fit
("cross-layer sharing"), or they stand once.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from fedprompt_jax.models.config import ModelConfig


def config(
    model: ModelConfig, start: int, size: int, shared: bool
) -> ModelConfig:
    """The auxiliary model's config.

        >>> from fedprompt_jax.models import families
        >>> gpt2 = families.model_config({'model_type': 'gpt2'})
        >>> shared = config(gpt2, 0, 1, shared=True)
        >>> shared.num_layers, shared.cell
        (12, 1)
        >>> alone = config(gpt2, 0, 1, shared=False)
        >>> alone.num_layers, alone.cell
        (1, 0)

    Args:
      model: the full model's.
      start: s, the first layer that is copied.
      size: m, the number of layers that are.
      shared: whether they are repeated through all num_layers. A layer then
        is local, or not, as the full model's layer in its place is.
    """
    if shared:
        return dataclasses.replace(model, cell=size)
    local = model.local_layers[start : start + size]
    return dataclasses.replace(model, num_layers=size, local_layers=local)


def params(base: Any, start: int, size: int) -> Any:
    """The auxiliary model's parameters, cut out of the full model's tree.

    Leaves under 'layers' [L, ...] become [m, ...], and all others are those of
    `base`.
    """
    cut = jax.tree.map(lambda x: x[start : start + size], base['layers'])
    return {**base, 'layers': cut}


def fault(model: ModelConfig, start: int, size: int, shared: bool) -> str:
    """Why there is no such auxiliary model, and what to do; '' if there is.

    The arguments are those of `config`; the caller names the config's key.
    """
    if model.objective != 'causal_lm':
        return (
            f'is for decoders; the model is trained as {model.objective!r}. '
            'Use a causal language model.'
        )
    depth = model.num_layers
    if start < 0 or size < 1 or start + size > depth:
        return (
            f'asks for {size} layers from layer {start}, but the model has '
            f'layers 0 to {depth - 1}; use at least 1, and start + size of at '
            f'most {depth}.'
        )
    if depth % size:
        fits = [m for m in range(1, depth + 1) if depth % m == 0]
        does = 'repeats' if shared else 'has the means of the prefix for'
        return (
            f'{does} {size} layers through {depth}, which is no multiple of '
            f'{size}; use a size of {fits}.'
        )
    return ''


def mean_over_layers(prefix: Any, size: int = 1) -> Any:
    """A prefix of L layers as one of `size`: the mean of each L / size.

    Layers fall into `size` consecutive groups. This is what the server sends
    to clients whose layers are not repeated (FedPrompt-Single).

        >>> import jax
        >>> import jax.numpy as jnp
        >>> deep = {'prefix': {'00': jnp.float32(0), '01': jnp.float32(1)}}
        >>> jax.tree.map(float, mean_over_layers(deep))
        {'prefix': {'00': 0.5}}

    Args:
      prefix: {'prefix': {'00': [P, 2, K, h], ...}}, see peft/prefix.py; all
        layers are of one length.
      size: m, of which L is a multiple.

    Raises:
      ValueError: L is no multiple of size.
    """
    layers = _stacked(prefix)  # [L, P, 2, K, h]
    if len(layers) % size:
        raise ValueError(
            f'a prefix of {len(layers)} layers has no {size} groups of one '
            'size.'
        )
    groups = layers.reshape(size, -1, *layers.shape[1:])
    return _by_layer(groups.mean(axis=1))


def repeat_over_layers(prefix: Any, num_layers: int) -> Any:
    """A prefix of m layers as one of L: each L / m times in a row.

    This is what a client sends back for the server's model; mean_over_layers
    of it is the prefix again.

    Args:
      prefix: as that of mean_over_layers, of m layers.
      num_layers: L, a multiple of m.

    Raises:
      ValueError: num_layers is no multiple of m.
    """
    layers = _stacked(prefix)  # [m, P, 2, K, h]
    if num_layers % len(layers):
        raise ValueError(
            f'{num_layers} layers are no multiple of a prefix of {len(layers)}.'
        )
    times = num_layers // len(layers)
    return _by_layer(jnp.repeat(layers, times, axis=0))


def _stacked(prefix: Any) -> jax.Array:
    layers = sorted(prefix['prefix'].items(), key=lambda item: int(item[0]))
    return jnp.stack([x for _, x in layers])


def _by_layer(layers: jax.Array) -> Any:
    return {'prefix': {f'{i:02d}': x for i, x in enumerate(layers)}}
