"""Shapes and numbers of a model's parameters, from the model itself."""

import functools
import math
import re
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp

from fedprompt_jax.models import quantization as quantization_lib
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.transformer import Transformer

# Attention takes ATTENTION_TIME times as long as matrix products of as many
# operations, and its backward pass ATTENTION_BACKWARD times as long as its
# forward pass (SmolLM2 on a CPU, rows of 128 and 336 tokens: RESULTS.md).
ATTENTION_TIME = 1.4
ATTENTION_BACKWARD = 2.5


@functools.cache
def param_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter leaf, keyed by its path joined with '/'.

    Kernels are (in, out); leaves of `layers` have a leading axis of the layers
    that are stored.
    """
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    tree = jax.eval_shape(Transformer(config).init, key, tokens)['params']
    flat = flax.traverse_util.flatten_dict(tree, sep='/')
    return {path: leaf.shape for path, leaf in flat.items()}


def base_leaves(
    config: ModelConfig, dtype: Any, quantization: str = ''
) -> dict[str, jax.ShapeDtypeStruct]:
    """Path -> what lies on the devices: every parameter leaf, and scales.

    Args:
      config: of the model.
      dtype: of what is not quantized.
      quantization: of the layers' kernels, see models/quantization.py.

    Raises:
      ValueError: there is no such quantization.
    """
    leaves = {}
    for path, shape in param_shapes(config).items():
        scale = quantization_lib.scale_path(path, quantization)
        stored = jnp.int8 if scale else dtype
        leaves[path] = jax.ShapeDtypeStruct(shape, stored)
        if scale:
            layers, _, outputs = shape
            leaves[scale] = jax.ShapeDtypeStruct((layers, outputs), jnp.float32)
    return leaves


def num_params(config: ModelConfig) -> int:
    """Number of parameters of the whole model; a tied table counts once."""
    return sum(math.prod(shape) for shape in param_shapes(config).values())


def block_params(config: ModelConfig) -> int:
    """Number of parameters every token read passes: layers, nothing else.

    Layers that a token passes several times count as often.

    A forward pass costs 2 * block_params FLOPs a token before attention
    scores; the vocabulary product, and the layers of a decoder that reads an
    encoder, come on top for target tokens only: see target_params. The keys
    and values that such a decoder makes of what it reads are counted here.
    """
    return sum(
        size for path, size in passed(config).items() if _reads(config, path)
    )


def repeats(config: ModelConfig, path: str) -> int:
    """How many times a token passes a leaf."""
    if config.encoder is not None and path.startswith('encoder/layers/'):
        return config.encoder.repeats
    return config.repeats if path.startswith('layers/') else 1


def passed(config: ModelConfig) -> dict[str, int]:
    """Path -> numbers of a leaf, times how often a token passes it.

    A table is a leaf like others, though a token reads a row of it alone.
    """
    shapes = param_shapes(config).items()
    return {
        path: math.prod(shape) * repeats(config, path) for path, shape in shapes
    }


def _reads(config: ModelConfig, path: str) -> bool:
    """Whether every token read passes this leaf."""
    if config.encoder is None:
        return path.startswith('layers/')
    crossed = re.search(r'cross_attention/(key|value)/', path)
    return path.startswith('encoder/layers/') or bool(crossed)


def target_params(config: ModelConfig) -> int:
    """Number of parameters that every target token passes besides."""
    return head_params(config) + sum(
        size
        for path, size in passed(config).items()
        if path.startswith('layers/') and not _reads(config, path)
    )


def head_params(config: ModelConfig) -> int:
    """Number of parameters that logits are computed from hidden states by."""
    head = ('head/kernel', 'head_dense/kernel')
    table = config.vocab_size * (config.embedding_width or config.width)
    return table * config.tied_embeddings + sum(
        size for path, size in passed(config).items() if path in head
    )
