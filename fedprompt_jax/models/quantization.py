"""Kernels of layers in int8, with a scale for each output.

What is frozen is read and never updated, so that it may be rounded: W[i, o] is
held as the integer nearest to W[i, o] / scale[o], where scale[o] is the largest
|W[:, o]| over 127: absmax, vector by vector, as in LLM.int8() (Dettmers et al.,
arXiv 2208.07339, sections 2.1 and 3.1), for weights alone. Products are those
of the activations' type.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ('int8',)  # besides '', for none; see experiment/config.py

_QUANTIZED = re.compile(r'(.*layers/.*)/kernel')


def scale_path(path: str, quantization: str) -> str:
    """The path of a leaf's scale; '' for a leaf that is not quantized.

    The kernels of layers are: no tables, no head, no projection outside of
    layers, no norm and no bias.

    Raises:
      ValueError: there is no such quantization.
    """
    if not quantization:
        return ''
    if quantization not in KINDS:
        raise ValueError(f"{quantization!r} must be '' or one of {KINDS}.")
    match = _QUANTIZED.fullmatch(path)
    return f'{match[1]}/scale' if match else ''


def quantize(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 [in, out] and f32 scales [out] of a kernel f32 [in, out].

    The kernel is overwritten.
    """
    largest = np.maximum(kernel.max(axis=0), -kernel.min(axis=0))
    scale = largest / np.float32(127)
    kernel /= np.where(scale > 0, scale, 1)
    return np.rint(kernel, out=kernel).astype(np.int8), scale


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array, scale: jax.Array) -> jax.Array:
    """x W [..., out] of x [..., in], a kernel int8 [in, out] and its scale.

    Summed and scaled in f32, and of x's type, as is the gradient of x; kernel
    and scale have none. The backward pass makes the kernel of x's type anew:
    kept, the kernels of all layers would be a copy of the model.
    """
    y = jnp.matmul(
        x, kernel.astype(x.dtype), preferred_element_type=jnp.float32
    )
    return (y * scale).astype(x.dtype)


def _forward(x, kernel, scale):
    return product(x, kernel, scale), (kernel, scale)


def _backward(saved, gradient):
    kernel, scale = saved
    scaled = (gradient * scale).astype(gradient.dtype)
    return scaled @ kernel.astype(gradient.dtype).T, None, None


product.defvjp(_forward, _backward)
