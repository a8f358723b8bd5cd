"""Memory of a chip, and operations and seconds of a call of the model.

The formulas are those of federated/ledger.py, which counts useful work alone.
To it they add what a packed grid computes besides: padding, prompts, attention
scores, and what the backward pass computes again.

A grid has `rows` rows of `length` tokens, each with up to `targets` targets.
`whole` says that the whole model trains, `remat` is config.model.remat, and a
mesh is {'data': chips, 'model': chips}.
"""

from collections.abc import Mapping, Sequence
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fedprompt_jax.bank.kind import Params
from fedprompt_jax.mesh import cut
from fedprompt_jax.models.config import ModelConfig
from fedprompt_jax.models.kernels.choice import Kernel
from fedprompt_jax.models.sizes import (
    ATTENTION_BACKWARD,
    ATTENTION_TIME,
    block_params,
    head_params,
    passed,
    repeats,
    target_params,
)
from fedprompt_jax.models.token_loss import CHUNK
from fedprompt_jax.planning.chips import Chip

# Path of a leaf of the base -> its shape and dtype: see sizes.base_leaves.
Leaves = Mapping[str, jax.ShapeDtypeStruct]


class Work(NamedTuple):
    """Numbers of multiply-adds, which `+` adds up.

    Attributes:
      products: of products with the base: tokens times parameters.
      attention: of attention's scores and of its sums of values.
    """

    products: float
    attention: float

    def __add__(self, other: Any) -> 'Work':
        return Work(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def flops(self) -> float:
        """Floating-point operations: two for each multiply-add."""
        return 2 * (self.products + self.attention)


def forward(
    model_config: ModelConfig, rows: int, length: int, targets: int
) -> Work:
    """The work of one forward pass of a grid."""
    tokens, layers = rows * length, model_config.reader
    # Layers compute all tokens of the grid, the head its targets alone.
    products = tokens * block_params(model_config)
    products += rows * targets * target_params(model_config)
    heads = layers.num_layers * layers.num_heads * layers.head_dim
    # Two products, q k and p v: every token with all tokens of its row.
    return Work(products, 2 * tokens * length * heads)


def gradient(
    model_config: ModelConfig,
    rows: int,
    length: int,
    targets: int,
    remat: bool = False,
    whole: bool = False,
    remat_mlp: bool = False,
) -> Work:
    """The work of the forward and the backward pass of a grid.

    Backward, a product with the base costs one more product, for the gradient
    of its input, and another one for the gradient of the base where the whole
    model trains. Attention computes its scores again, and each of its two
    products costs two. See `again` for what is computed twice.
    """
    once = forward(model_config, rows, length, targets)
    return Work(
        once.products * (2 + whole),
        once.attention * (1 + ATTENTION_BACKWARD),
    ) + again(model_config, rows, length, targets, remat, remat_mlp)


# Products of a layer whose result is only added to the hidden states, by
# ModelConfig.layout: the backward pass does not read it.
_ADDED = {
    'pre': ('mlp/down',),
    'parallel': ('mlp/down', 'attention/output'),
    'post': (),
    'sandwich': (),
}


def again(
    model_config: ModelConfig,
    rows: int,
    length: int,
    targets: int,
    remat: bool,
    remat_mlp: bool = False,
) -> Work:
    """The work that the backward pass of a grid does a second time.

    With remat it is that of the layers, without the products that nothing
    there reads; with remat_mlp, of the products that the MLP's activation
    reads. It computes attention's scores in any case; with remat, their
    sum of values too. Logits are computed again where they come in chunks.
    """
    chunks = targets > max(1, CHUNK // rows)
    head = chunks * rows * targets * head_params(model_config)
    if not remat:
        if not remat_mlp:
            return Work(head, 0.0)
        each = _before_activation(model_config, model_config.reader)
        mlp = rows * length * each
        if model_config.encoder is not None:
            mlp += (
                rows * targets * _before_activation(model_config, model_config)
            )
        return Work(head + mlp, 0.0)
    layers = rows * length * block_params(model_config)
    layers -= rows * length * _added(model_config, model_config.reader)
    if model_config.encoder is not None:
        each = target_params(model_config) - head_params(model_config)
        layers += rows * targets * (each - _added(model_config, model_config))
    attention = forward(model_config, rows, length, targets).attention / 2
    summed = model_config.reader.layout != 'parallel'
    return Work(head + layers, summed * attention)


def _added(model_config: ModelConfig, stack: ModelConfig) -> int:
    """Parameters of the products of _ADDED that a token of a stack passes."""
    return _passed(model_config, stack, _ADDED[stack.layout])


def _before_activation(model_config: ModelConfig, stack: ModelConfig) -> int:
    """The same of the products that the activation of the MLP reads."""
    parts = ('mlp/gate', 'mlp/up') if stack.gated else ('mlp/up',)
    return _passed(model_config, stack, parts)


def _passed(
    model_config: ModelConfig, stack: ModelConfig, parts: Sequence[str]
) -> int:
    of_encoder = stack is model_config.encoder
    layers = 'encoder/layers' if of_encoder else 'layers'
    sizes = passed(model_config)
    return sum(sizes[f'{layers}/{part}/kernel'] for part in parts)


def seconds(work: Work, chip: Chip, dtype: str, chips: int = 1) -> float:
    """Seconds that `chips` chips take for work that is divided evenly.

    A multiply-add of attention takes ATTENTION_TIME times as long as one of
    the products.
    """
    rate = chip.flops[dtype] * chip.share * chips
    return 2 * (work.products + ATTENTION_TIME * work.attention) / rate


def sharing(model_config: ModelConfig, model: int) -> int:
    """The number of `model` chips that share a layer: all of them, or 1.

    It is 1 where they do not divide the layer; each then computes all of it.
    """
    c = model_config.reader
    heads = c.num_kv_heads * c.head_dim
    fits = c.mlp_width % model == 0 and heads % model == 0
    return model if fits else 1


def working(model_config: ModelConfig, mesh: Mapping[str, int]) -> int:
    """The number of a mesh's chips among which the work is divided.

    The others compute the same as one of these.
    """
    return mesh['data'] * sharing(model_config, mesh['model'])


def base_bytes(
    base: Leaves, mesh: Mapping[str, int], fsdp: bool = False
) -> float:
    """Bytes of the base's leaves on one chip of a mesh."""
    total = 0.0
    for path, leaf in base.items():
        axes = _axes(path, leaf, mesh, fsdp)
        total += _bytes(leaf) / math.prod(mesh[axis] for axis in axes)
    return total


def read_bytes(
    model_config: ModelConfig, base: Leaves, mesh: Mapping[str, int]
) -> float:
    """Bytes of the base that a token's pass reads on one chip of a mesh."""
    return sum(
        repeats(model_config, path) * base_bytes({path: leaf}, mesh)
        for path, leaf in base.items()
    )


def gathered_bytes(base: Leaves, mesh: Mapping[str, int]) -> float:
    """Bytes that FSDP gathers on a chip at a time: the tables and two layers.

    The next layer is gathered while one is at work. They are 0 where `data`
    divides no leaf.
    """
    total = 0.0
    for path, leaf in base.items():
        gathered = _axes(path, leaf, mesh, fsdp=False)
        if gathered != _axes(path, leaf, mesh, fsdp=True):
            # Gathered over 'data', a leaf is still cut over 'model'.
            parts = math.prod(mesh[axis] for axis in gathered)
            # Leaves of layers are [layers, ...].
            share = min(1.0, 2 / leaf.shape[0]) if 'layers/' in path else 1.0
            total += _bytes(leaf) * share / parts
    return total


def _axes(
    path: str, leaf: jax.ShapeDtypeStruct, mesh: Mapping[str, int], fsdp: bool
) -> list[str]:
    """The axes of a mesh over which a leaf of the base is cut."""
    spec = cut(path, leaf.shape, mesh, fsdp)
    return [axis for axis in spec if axis is not None]


def _bytes(leaf: jax.ShapeDtypeStruct) -> int:
    return math.prod(leaf.shape) * leaf.dtype.itemsize


def saved_bytes(
    model_config: ModelConfig,
    rows: int,
    length: int,
    targets: int,
    dtype: str,
    remat: bool = False,
    whole: bool = False,
    model: int = 1,
    kernel: Kernel | None = None,
    remat_mlp: bool = False,
) -> float:
    """Bytes that the forward pass of a grid saves for the backward pass.

    They are what `_saved` counts in each layer, with remat the hidden state
    alone. A decoder behind an encoder has the targets as its tokens. The table
    of relative positions is looked up once for all layers. `kernel` is what
    computes attention: it keeps its outputs.
    """
    c = model_config.reader
    outputs = not keeps_scores(model_config, length, dtype, kernel)
    how = remat, whole, model, outputs, remat_mlp
    numbers = rows * length * _saved_by(c, *how)
    if model_config.encoder is not None:
        numbers += rows * targets * _saved_by(model_config, *how)
    if c.relative_buckets:
        numbers += rows * length**2 * c.num_heads / model
    return numbers * jnp.dtype(dtype).itemsize


def layer_bytes(
    model_config: ModelConfig,
    rows: int,
    length: int,
    dtype: str,
    remat: bool = False,
    whole: bool = False,
    model: int = 1,
    kernel: Kernel | None = None,
    remat_mlp: bool = False,
) -> float:
    """Bytes of one layer of a grid during its backward pass, without scores.

    They are the MLP's hidden numbers and their gradients, the gradients of the
    layer's input and output, and with remat all that `_saved` counts, or with
    remat_mlp the MLP's part of it.
    """
    c = model_config.reader
    of_token = 2 * (1 + c.gated) * c.mlp_width / model + 2 * c.width
    outputs = not keeps_scores(model_config, length, dtype, kernel)
    kept = _saved(c, whole, model, outputs, False)
    if remat:
        of_token += kept
    elif remat_mlp:
        of_token += kept - _saved(c, whole, model, outputs, True)
    return rows * length * of_token * jnp.dtype(dtype).itemsize


def _saved_by(
    stack: ModelConfig, remat: bool, whole: bool, model: int, *more: bool
) -> float:
    """Numbers of a token that a stack's layers save, all together."""
    layer = stack.width if remat else _saved(stack, whole, model, *more)
    return stack.num_layers * layer


def _saved(
    stack: ModelConfig,
    whole: bool,
    model: int,
    outputs: bool,
    remat_mlp: bool,
) -> float:
    """Numbers of a token that a layer saves where it is not computed again.

    They are the arguments of two norms, gate and up, queries, keys and values
    (see models/layers.py), and attention's `outputs` where a kernel computes
    it; where the whole model trains, what its weights multiply too. With
    remat_mlp the former alone are kept, without gate and up. `model` chips
    share all but the hidden states.
    """
    whole = whole and not remat_mlp
    # Queries, keys and values,
    inner = (stack.num_heads + 2 * stack.num_kv_heads) * stack.head_dim
    # gate and up; where the whole model trains, the inputs of `down` and
    # `output` too. All of these are cut over 'model'.
    of_mlp = (1 + stack.gated + whole) * stack.mlp_width
    wide = inner + (not remat_mlp) * of_mlp
    wide += (whole or outputs) * stack.num_heads * stack.head_dim
    return (2 + 2 * whole) * stack.width + wide / model


def keeps_scores(
    model_config: ModelConfig, length: int, dtype: str, kernel: Kernel | None
) -> bool:
    """Whether attention over rows of `length` tokens keeps its scores."""
    c = model_config.reader
    return kernel is None or bool(kernel.obstacle(c, length, dtype))


def score_bytes(
    model_config: ModelConfig,
    rows: int,
    length: int,
    dtype: str,
    model: int = 1,
    kernel: Kernel | None = None,
) -> float:
    """Bytes of a layer's attention scores in the backward pass, in f32.

    They are scores, probabilities and the gradient of each; none where a
    kernel computes attention. `model` chips share the heads.
    """
    if not keeps_scores(model_config, length, dtype, kernel):
        return 0.0
    heads = model_config.reader.num_heads
    return 4.0 * rows * length**2 * heads * 4 / model


def logits_bytes(
    model_config: ModelConfig, rows: int, targets: int, mesh: Mapping[str, int]
) -> float:
    """Bytes of the f32 logits of a chunk of targets, and of their gradient.

    They are those of one chip of the mesh; `rows` are those of the whole grid.
    See models/token_loss.py.
    """
    # token_loss takes CHUNK targets at a time, as whole columns of the grid.
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
    """Bytes of the keys and values of `queries` rows of `length` tokens."""
    token_numbers = (
        model_config.num_layers
        * model_config.num_kv_heads
        * model_config.head_dim
    )
    return 2.0 * queries * length * token_numbers * jnp.dtype(dtype).itemsize


def backward_bytes(
    saved: float, layer: float, scores: float, logits: float
) -> float:
    """Bytes of a backward pass at its worst moment.

    The logits are gone when that of the layers begins: a chip needs room for
    the larger of both.

    Args:
      saved: of saved_bytes, and so on.
      layer: of layer_bytes.
      scores: of score_bytes.
      logits: of logits_bytes.
    """
    return saved + max(logits, layer + scores)


def bank_bytes(
    trained: Params, tx: optax.GradientTransformation, owners: int
) -> float:
    """Bytes of a bank with its start, gradient and optimizer state.

    Args:
      trained: one owner's parameters, arrays or their shapes; f32.
      tx: the client optimizer.
      owners: C, the number of owners in the bank.
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
    """Seconds of the greedy decoding of one batch.

    Each step reads the base, which may take longer than to compute; layers
    that are repeated are read each time.

    Args:
      model_config: the model's.
      base: its leaves.
      queries: rows of the batch.
      new_tokens: steps, one for each token that a row may get.
      chip: each device of the mesh.
      dtype: of the computation, a key of chip.flops.
      mesh: {'data': chips, 'model': chips}.
    """
    read = read_bytes(model_config, base, mesh) / chip.bandwidth
    each = block_params(model_config) + target_params(model_config)
    chips = working(model_config, mesh)
    step = seconds(Work(queries * each, 0.0), chip, dtype, chips)
    return new_tokens * max(read, step)
