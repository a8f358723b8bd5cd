"""Gradients of a deep model in f64, where rounding is no excuse.

In f32, thirty layers amplify what is rounded: an ulp more or less in a prompt
moves PEFT's own gradients by up to 4e-5 of their norm, and XLA's CPU kernels
round more than PyTorch's do. In f64 both must say the same.
"""

from collections.abc import Iterator
import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import torch

from tests.parity import subjects, table
from tests.parity.ours import Ours
from tests.parity.subjects import Subject
from tests.parity.theirs import Theirs

# PyTorch computes the norms and rotary tables of an f64 model in f32: 1.8e-5.
TOLERANCE = 5e-5


def compare(subject: Subject) -> Iterator[table.Row]:
    """Losses and gradients of SmolLM2, the one deep model."""
    if subject.name != subjects.GGUF:
        return
    name, folder, _, _, case, _ = subject
    theirs = Theirs(folder, torch.float64)
    expected = theirs.gradients(case.bank, case.examples, 'token')
    with f32_read_as_f64():
        ours = Ours(folder)
        base = jax.tree.map(lambda x: x.astype(np.float64), ours.lm.base)
        ours.lm = ours.lm._replace(base=base)
        for simulation in ('packed', 'vmap'):
            got = ours.using(simulation).gradients(
                case.bank.astype(np.float64), case.examples, 'token'
            )
            assert got[1].dtype == np.float64
            for what, a, b in zip(('loss', 'grad'), got, expected, strict=True):
                what = f'{name}: token {what} in f64, {simulation}'
                yield table.relative('PEFT', what, a, b, TOLERANCE)


@contextlib.contextmanager
def f32_read_as_f64() -> Iterator[None]:
    """Code that asks for f32 gets f64 while this lasts."""
    f32 = jnp.float32
    jax.clear_caches()
    try:
        with jax.enable_x64(True):
            jnp.float32 = jnp.float64
            yield
    finally:
        jnp.float32 = f32
        jax.clear_caches()
