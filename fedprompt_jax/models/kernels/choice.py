"""Which kernel computes a model's attention over packed rows.

XLA computes whatever a kernel cannot serve, from the same numbers of the rows.
"""

import dataclasses
import functools
import logging
import re

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, Mesh

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.kernels.flash import Flash
from fedprompt_jax.models.kernels.flash import attend as flash_attention
from fedprompt_jax.models.kernels.machines import tiles, vmem_bytes, width
from fedprompt_jax.models.kernels.scores import Rule
from fedprompt_jax.models.reads import Reads

KINDS = ('auto', 'xla', 'cudnn', 'pallas')
AMPERE = 8.0  # NVIDIA's first compute capability with bfloat16
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kind of attention on the devices of a run. Hashable, as a model is.

    Attributes:
      kind: 'cudnn' or 'pallas'.
      machine: 'cpu', 'gpu' or 'tpu'.
      memory: bytes of the fast memory that a TPU's kernel may use.
      mesh: ('data', 'model'), or None: there is one device.
    """

    kind: str
    machine: str
    memory: int = 2**24
    mesh: Mesh | AbstractMesh | None = None

    def serves(self, c: ModelConfig, length: int, dtype) -> bool:
        """Whether it computes rows of `length` tokens; if not, the log says so.

        Args:
          c: the model.
          length: L.
          dtype: of queries, keys and values.
        """
        if reason := self.obstacle(c, length, dtype):
            _log_once(
                f'XLA computes attention in the place of {self.kind!r}, since '
                f'{reason}.'
            )
        return not reason

    def obstacle(self, c: ModelConfig, length: int, dtype) -> str:
        """Why XLA has to compute in its place; '' where it need not."""
        dtype = jnp.dtype(dtype)
        if c.relative_buckets:
            return 'a bias is added to the scores'
        if self.kind == 'cudnn':
            return _no_cudnn(c, length, dtype)
        need = vmem_bytes(c, length, dtype.itemsize)
        if self.machine == 'tpu' and need > self.memory:
            return (
                f'rows of {length} tokens need {need / 2**20:.0f} MiB of fast '
                f'memory, more than {self.memory / 2**20:.0f}'
            )
        return ''

    def attend(
        self, q, k, v, reads: Reads, scale: float, cap: float, causal: bool
    ) -> jax.Array:
        """Softmax attention [R, L, H * h] over packed rows.

        Args:
          q: [R, L, H, h].
          k: [R, L, K, h].
          v: likewise.
          reads: of the rows.
          scale: of the scores.
          cap: scores become cap * tanh(score / cap); 0 for none.
          causal: whether a token reads no later one.
        """
        if self.kind == 'cudnn':
            mask = reads.mask(causal)[:, None]  # [R, 1, L, L]
            out = jax.nn.dot_product_attention(
                q, k, v, mask=mask, scale=scale, implementation='cudnn'
            )
        else:
            length, size = q.shape[1], q.shape[3]
            flash = Flash(
                tiles(
                    self.machine, length, size, q.dtype.itemsize, self.memory
                ),
                Rule(scale, cap, causal),
                width(self.machine, size),
                self.mesh,
            )
            out = flash_attention(flash, q, k, v, reads)
        return out.reshape(*q.shape[:2], -1)


def make(kind: str, mesh: Mesh | AbstractMesh) -> Kernel | None:
    """The kernel of config.model.attention on a mesh; None for XLA.

    Args:
      kind: one of KINDS.
      mesh: ('data', 'model'); an AbstractMesh, which has no devices, is taken
        for CPUs.
    """
    device = mesh.devices.flat[0] if isinstance(mesh, Mesh) else None
    machine = getattr(device, 'platform', 'cpu')
    # Of AMD's GPUs there is no compute capability, and none was tried.
    old = machine == 'gpu' and _cuda_capability(device) < AMPERE
    kind = 'xla' if kind == 'auto' and old else kind
    kernel = of_machine(kind, machine, getattr(device, 'device_kind', ''))
    if kernel is None or mesh.size == 1:
        return kernel
    return dataclasses.replace(kernel, mesh=mesh)


def of_machine(kind: str, machine: str, name: str) -> Kernel | None:
    """The kernel of config.model.attention on one device; None for XLA.

    docs/attention.md says why 'auto' takes what it takes.

    Args:
      kind: one of KINDS.
      machine: 'cpu', 'gpu' or 'tpu'.
      name: of the device, such as 'TPU v4' or 'v5p'.
    """
    if kind == 'auto':
        kind = 'xla' if machine == 'cpu' else 'pallas'
    # A TPU's core has 16 MiB up to v4, and later 64 MiB or more.
    memory = 2**24 if re.search('v[234]', name) else 2**25
    return None if kind == 'xla' else Kernel(kind, machine, memory)


def check_kernel(kind: str) -> None:
    """Raises ValueError if JAX's devices can never run the kernel."""
    device = jax.devices()[0]
    capability, here = _cuda_capability(device), repr(device.platform)
    if capability:
        here += f' of compute capability {capability}'
    no_gpu = kind == 'cudnn' and not capability
    if no_gpu or (kind in ('cudnn', 'pallas') and 0 < capability < AMPERE):
        raise _not_there(kind, f'JAX has {here}')


def check_planned(kind: str, chip: str, machine: str) -> None:
    """Raises ValueError if a chip, 'cpu', 'gpu' or 'tpu', runs no such kernel.

    Those of planning/chips.py are all of compute capability AMPERE or more.
    """
    if kind == 'cudnn' and machine != 'gpu':
        raise _not_there(kind, f'--chip={chip} is none')


def _not_there(kind: str, here: str) -> ValueError:
    return ValueError(
        f'config.model.attention={kind!r} needs an NVIDIA GPU of compute '
        f"capability {AMPERE} or more, and {here}; use 'auto'."
    )


def _no_cudnn(c: ModelConfig, length: int, dtype: jnp.dtype) -> str:
    """Why cuDNN cannot compute; '' where it can."""
    if dtype != jnp.bfloat16:
        return f'numbers are {dtype}, and cuDNN needs bfloat16'
    if c.score_cap:
        return 'scores have a cap'
    if c.head_dim > 128 or c.head_dim % 8:
        return (
            f'heads have {c.head_dim} numbers, and cuDNN needs a multiple of '
            '8 up to 128'
        )
    return 'the number of tokens of a row is odd' if length % 2 else ''


def _cuda_capability(device) -> float:
    """The compute capability of an NVIDIA GPU, such as 9.0; else 0."""
    found = str(getattr(device, 'compute_capability', ''))
    return float(found) if re.fullmatch(r'\d+\.\d+', found) else 0.0


@functools.cache
def _log_once(text: str) -> None:
    _LOG.warning(text)
