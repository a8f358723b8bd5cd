"""Kernels of layers in int8, a scale for each output: half the bytes of bf16.

What is frozen is read and never updated, so that it may be rounded: W[i, o] is
kept as the integer nearest to W[i, o] / scale[o], where scale[o] is the largest
|W[:, o]| over 127 (the vector-wise absmax of Dettmers et al. 2022, section 2.1,
for weights alone: activations and products keep their type).
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

_QUANTIZED = re.compile(r'(.*layers/.*)/kernel')


def scale_path(path: str) -> str:
    """Where the scale of a leaf is; '' for what is not quantized.

    Embeddings, the head, norms and biases are not.
    """
    match = _QUANTIZED.fullmatch(path)
    return f'{match[1]}/scale' if match else ''


def quantize(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 [in, out] and f32 scales [out] of a kernel f32 [in, out]."""
    scale = np.abs(kernel).max(axis=0) / np.float32(127)
    divisor = np.where(scale > 0, scale, 1)
    return np.rint(kernel / divisor).astype(np.int8), scale


@functools.partial(jax.checkpoint, prevent_cse=False)
def product(x: jax.Array, kernel: jax.Array, scale: jax.Array) -> jax.Array:
    """x W [..., out] of x [..., in], a kernel int8 [in, out] and its scale.

    The backward pass makes the kernel of x's type anew: kept, the kernels of
    all layers would be a copy of the model.
    """
    y = x @ kernel.astype(x.dtype)
    return (y.astype(jnp.float32) * scale).astype(x.dtype)
