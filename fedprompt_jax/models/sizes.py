"""Shapes and numbers of a decoder's parameters, from the decoder itself."""

import functools
import math

import flax.traverse_util
import jax
import jax.numpy as jnp

from fedprompt_jax.models.config import DecoderConfig
from fedprompt_jax.models.decoder import Decoder


@functools.cache
def param_shapes(config: DecoderConfig) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter leaf, keyed by its path joined with '/'.

    Kernels are (in, out); leaves of `layers` have a leading layer axis.
    """
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    tree = jax.eval_shape(Decoder(config).init, key, tokens)['params']
    flat = flax.traverse_util.flatten_dict(tree, sep='/')
    return {path: leaf.shape for path, leaf in flat.items()}


def num_params(config: DecoderConfig) -> int:
    """Number of parameters of the whole model; a tied table counts once."""
    return sum(math.prod(shape) for shape in param_shapes(config).values())


def block_params(config: DecoderConfig) -> int:
    """Number of parameters every token passes: the layers, nothing else.

    A forward pass costs 2 * block_params FLOPs a token before attention
    scores; the vocabulary product comes on top, for target tokens only.
    """
    shapes = param_shapes(config).items()
    return sum(math.prod(s) for path, s in shapes if path.startswith('layers/'))
