"""Llama 3's rotary scaling, recovered from the factors that it makes."""

from typing import Any

import numpy as np

from fedprompt_jax.models.config import Rotary
from fedprompt_jax.models.rotary import frequencies

# Of every Llama 3.x, and what llama.cpp assumes: all but the factor itself.
_LOW, _HIGH, _ORIGINAL = 1.0, 4.0, 8192


def llama3(factors: np.ndarray, theta: float) -> dict[str, Any] | None:
    """HF's rope_scaling; None where no factor of Llama 3's formula fits.

    Args:
      factors: f32 [h / 2], by which each wavelength is longer.
      theta: base of the wavelengths.
    """
    factor = float(factors.max())
    turned = 2 * len(factors)
    plain = frequencies(turned, Rotary(theta))
    scaled = frequencies(
        turned, Rotary(theta, llama3=(factor, _LOW, _HIGH, _ORIGINAL))
    )
    if not np.allclose(plain / factors, scaled, rtol=1e-5, atol=0):
        return None
    return {
        'rope_type': 'llama3',
        'factor': factor,
        'low_freq_factor': _LOW,
        'high_freq_factor': _HIGH,
        'original_max_position_embeddings': _ORIGINAL,
    }
