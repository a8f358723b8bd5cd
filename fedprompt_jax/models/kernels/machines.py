"""The blocks of a kernel on a TPU, on a GPU, and in JAX's own place on a CPU.

Sizes were chosen by compiling; no TPU and no GPU was measured.
"""

import math
from typing import Any

from jax.experimental.pallas import tpu, triton

from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.kernels.tiles import Tiles

LANES, SUBLANES = 128, 8  # of a TPU's registers
MOST = 256  # tokens of a TPU's block


def tiles(
    machine: str, length: int, head_dim: int, itemsize: int, memory: int
) -> Tiles:
    """How rows of `length` tokens are cut; the last block may be padded.

    Args:
      machine: 'cpu', 'gpu' or 'tpu'.
      length: L.
      head_dim: h.
      itemsize: bytes of a number of the queries.
      memory: bytes of fast memory that a TPU's kernel may use.
    """
    params: Any
    if machine == 'tpu':
        params = tpu.CompilerParams(
            dimension_semantics=('parallel',) * 3, vmem_limit_bytes=memory
        )
        return Tiles(_tpu_size(length), True, params)
    if machine == 'gpu':
        wide = head_dim > 64
        # Exact products of f32 numbers are unrolled: Triton takes minutes to
        # compile larger blocks.
        size = 64 if head_dim <= 128 and itemsize == 2 else 32
        params = triton.CompilerParams(8 if wide else 4, num_stages=2)
        return Tiles(size, False, params)
    return Tiles(32, False, interpret=True)


def width(machine: str, head_dim: int) -> int:
    """Columns of a kernel's head: a GPU's are a power of 2, at least 16."""
    if machine != 'gpu':
        return head_dim
    return max(16, 2 ** math.ceil(math.log2(head_dim)))


def vmem_bytes(c: ModelConfig, length: int, itemsize: int) -> int:
    """Bytes of fast memory that the largest kernel needs on a TPU.

    That is the one of keys and values: it has a group's queries and gradients
    of a whole row, twice, since the next ones are read while it computes.

    Args:
      c: the model.
      length: L.
      itemsize: bytes of a number of the queries.
    """
    size = _tpu_size(length)
    columns = length + -length % size
    group = c.num_heads // c.num_kv_heads
    head = c.head_dim + -c.head_dim % LANES
    queries = 2 * group * columns * head * itemsize
    sums = 2 * group * SUBLANES * columns * 4
    numbers = 2 * SUBLANES * columns * 4
    own = 4 * size * head * itemsize  # a block of keys, values and gradients
    inside = 8 * size * size * 4 + 4 * size * head * 4
    return 2 * (queries + sums + numbers + own) + inside


def _tpu_size(length: int) -> int:
    """The largest multiple of LANES up to MOST that pads a row no further."""
    padded = length + -length % LANES
    sizes = range(MOST, 0, -LANES)
    return next(size for size in sizes if padded % size == 0)
