"""Memory of a chip, and operations and seconds of a call of the model.

The formulas are those of federated/ledger.py for the useful work, and the
same with everything that a packed grid computes besides: padding, prompts,
attention scores, and what the backward pass computes again.
"""

from collections.abc import Mapping
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fedprompt_jax.mesh import cut
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.sizes import (
    ATTENTION_BACKWARD,
    ATTENTION_TIME,
    block_params,
    target_params,
)
from fedprompt_jax.models.token_loss import CHUNK
from fedprompt_jax.planning.chips import Chip

# Of the base, by path: see sizes.base_leaves.
Leaves = Mapping[str, jax.ShapeDtypeStruct]


class Work(NamedTuple):
    """Multiply-adds, of the base's products and of attention's.

    Attributes:
      products: tokens times parameters.
      attention: scores, and sums of values.
    """

    products: float
    attention: float

    def __add__(self, other: Any) -> 'Work':
        return Work(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def flops(self) -> float:
        """Two a multiply-add."""
        return 2 * (self.products + self.attention)


def forward(
    model_config: ModelConfig, rows: int, length: int, targets: int
) -> Work:
    """One forward pass of a grid."""
    tokens, layers = rows * length, model_config.reader
    products = tokens * block_params(model_config)
    products += rows * targets * target_params(model_config)
    heads = layers.num_layers * layers.num_heads * layers.head_dim
    return Work(products, 2 * tokens * length * heads)


def gradient(
    model_config: ModelConfig,
    rows: int,
    length: int,
    targets: int,
    remat: bool = False,
    whole: bool = False,
) -> Work:
    """Forward and backward of a grid.

    A product with the base goes back once, to its input, and a second time to
    the base where the whole model trains; attention's two products go back
    twice, after the scores have been computed again. With remat all of it
    goes forward twice.
    """
    once = forward(model_config, rows, length, targets)
    return Work(
        once.products * (2 + remat + whole),
        once.attention * (1 + ATTENTION_BACKWARD + remat),
    )


def seconds(work: Work, chip: Chip, dtype: str, chips: int = 1) -> float:
    """Seconds that `chips` chips take for work that is divided evenly.

    Attention is ATTENTION_TIME times slower than products.
    """
    rate = chip.flops[dtype] * chip.share * chips
    return 2 * (work.products + ATTENTION_TIME * work.attention) / rate


def sharing(model_config: ModelConfig, model: int) -> int:
    """The number of `model` chips that share a layer: all of them, or 1."""
    c = model_config.reader
    heads = c.num_kv_heads * c.head_dim
    fits = c.mlp_width % model == 0 and heads % model == 0
    return model if fits else 1


def working(model_config: ModelConfig, mesh: Mapping[str, int]) -> int:
    """Chips of a mesh that do not compute what others do."""
    return mesh['data'] * sharing(model_config, mesh['model'])


def base_bytes(
    base: Leaves, mesh: Mapping[str, int], fsdp: bool = False
) -> float:
    """Bytes of the base's leaves on one chip of a mesh ('data', 'model')."""
    total = 0.0
    for path, leaf in base.items():
        axes = [a for a in cut(path, leaf.shape, mesh, fsdp) if a is not None]
        total += _bytes(leaf) / math.prod(mesh[axis] for axis in axes)
    return total


def gathered_bytes(base: Leaves, mesh: Mapping[str, int]) -> float:
    """Bytes that FSDP gathers on a chip at a time: the tables and a layer."""
    total = 0.0
    for path, leaf in base.items():
        over_data, over_both = (
            [a for a in cut(path, leaf.shape, mesh, fsdp) if a is not None]
            for fsdp in (False, True)
        )
        if over_data != over_both:
            parts = math.prod(mesh[axis] for axis in over_data)
            stacked = leaf.shape[0] if 'layers/' in path else 1
            total += _bytes(leaf) / stacked / parts
    return total


def _bytes(leaf: jax.ShapeDtypeStruct) -> int:
    return math.prod(leaf.shape) * leaf.dtype.itemsize


def kept_bytes(
    model_config: ModelConfig,
    rows: int,
    length: int,
    dtype: str,
    remat: bool = False,
    whole: bool = False,
    model: int = 1,
) -> float:
    """Bytes that the forward pass of a grid saves for the backward pass.

    Of a token and layer: the arguments of two norms, gate and up, queries,
    keys and values (see models/layers.py, recomputed); with remat the hidden
    state alone, and all of one layer at a time. Where the whole model trains,
    what its kernels multiply as well. `model` chips share all but the hidden
    states.
    """
    c = model_config.reader
    inner = (c.num_heads + 2 * c.num_kv_heads) * c.head_dim
    wide = (1 + c.gated) * c.mlp_width + inner
    wide += whole * (c.mlp_width + c.num_heads * c.head_dim)
    layer = (2 + 2 * whole) * c.width + wide / model
    of_token = c.num_layers * c.width + layer if remat else c.num_layers * layer
    # f32: scores, probabilities and their gradients, of one layer.
    scores = 4 * c.num_heads * length * 4 / model
    size = jnp.dtype(dtype).itemsize
    return rows * length * (of_token * size + scores)


def logits_bytes(
    model_config: ModelConfig, rows: int, targets: int, mesh: Mapping[str, int]
) -> float:
    """Logits of a chunk of targets on one chip, and their gradient, f32.

    rows are those of the whole grid; see models/token_loss.py.
    """
    columns = min(targets, max(1, CHUNK // rows))
    cut_by = (
        mesh['model'] if model_config.vocab_size % mesh['model'] == 0 else 1
    )
    chip_rows = rows / mesh['data']
    numbers = chip_rows * columns * model_config.vocab_size / cut_by
    return 2.0 * numbers * 4


def cache_bytes(
    model_config: ModelConfig, queries: int, length: int, dtype: str
) -> float:
    """Keys and values of `queries` rows of so many tokens."""
    token_numbers = (
        model_config.num_layers
        * model_config.num_kv_heads
        * model_config.head_dim
    )
    return 2.0 * queries * length * token_numbers * jnp.dtype(dtype).itemsize


def bank_bytes(trained, tx, owners: int) -> float:
    """A bank with its start, gradient and optimizer state: all of it f32.

    Args:
      trained: one owner's parameters, arrays or their shapes.
      tx: the client optimizer.
      owners: C.
    """
    state = jax.eval_shape(tx.init, trained)
    trained_bytes = sum(
        x.size * x.dtype.itemsize for x in jax.tree.leaves(trained)
    )
    more = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    return owners * (3.0 * trained_bytes + more)


def decode_seconds(
    model_config: ModelConfig,
    base: Leaves,
    queries: int,
    new_tokens: int,
    chip: Chip,
    dtype: str,
    mesh: Mapping[str, int],
) -> float:
    """Greedy decoding of one batch: each step reads the base once."""
    read = base_bytes(base, mesh) / chip.bandwidth
    each = block_params(model_config) + target_params(model_config)
    chips = working(model_config, mesh)
    step = seconds(Work(queries * each, 0.0), chip, dtype, chips)
    return new_tokens * max(read, step)
