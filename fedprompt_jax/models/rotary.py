"""Rotary position embeddings: a head's first half turns with its second."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.models.config import Rotary

Table = tuple[jax.Array, jax.Array]  # cosine and sine, f32 [R, L, n / 2]


def table(positions: jax.Array, head_dim: int, rotary: Rotary) -> Table:
    """Cosine and sine of every position's angles.

    Args:
      positions: int [R, L].
      head_dim: h, of which the first n = fraction * h dimensions turn.
      rotary: wavelengths.
    """
    turned = int(head_dim * rotary.fraction)
    angle = positions[..., None].astype(jnp.float32) * frequencies(
        turned, rotary
    )
    return jnp.cos(angle), jnp.sin(angle)


def frequencies(turned: int, rotary: Rotary) -> np.ndarray:
    """Radians a position, f32 [n / 2], of the dimensions that turn."""
    exponent = np.arange(0, turned, 2, dtype=np.float32) / turned
    frequency = np.float32(rotary.theta) ** -exponent / rotary.factor
    if rotary.llama3:
        frequency = _llama3(frequency, *rotary.llama3)
    return frequency.astype(np.float32)


def _llama3(frequency, factor, low, high, original) -> np.ndarray:
    """Long wavelengths divided by factor, with a ramp between the bounds."""
    wavelength = 2 * math.pi / frequency
    smooth = (original / wavelength - low) / (high - low)
    mixed = (1 - smooth) * frequency / factor + smooth * frequency
    scaled = np.where(wavelength > original / low, frequency / factor, mixed)
    return np.where(wavelength < original / high, frequency, scaled)


def rotate(x: jax.Array, turn: Table) -> jax.Array:
    """x [R, L, heads, h], its first n dimensions turned by their positions."""
    cos, sin = (t[:, :, None, :] for t in turn)
    half = cos.shape[-1]
    head = x.astype(jnp.float32)
    a, b, rest = (
        head[..., :half],
        head[..., half : 2 * half],
        x[..., 2 * half :],
    )
    turned = jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)
    return jnp.concatenate([turned.astype(x.dtype), rest], axis=-1)
