"""Attention over packed rows, compiled for a chip that is not here: a table.

    python -m benchmarks.attention --chip=v5e [--kinds=xla,pallas] [--whole]
        [--rows=16] [--layers=30] [--nouse_remat] [--remat_mlp] [--json]

It needs the extra tpu-compile, or cuda for --chip=h100, and no accelerator.
Nothing runs: of each kind of attention it prints the memory of temporaries and
the bytes that the compiled program moves from and to the chip's main memory.

Attention has the sizes of SmolLM2-135M: rows of 1,024 tokens, 9 query heads of
64 and 3 key heads, in bfloat16, forward and backward. With --whole it is the
gradient of prompts of 8 clients through the whole model.

  xla, cudnn, pallas   as config.model.attention
  splash               JAX's kernel for TPUs, where every example has a prompt
                       of its own: it knows no prompt that stands once
"""

import json
import time
from typing import Any

from absl import flags
import flax.traverse_util
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from benchmarks import children
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients
from fedprompt_jax.data.packing import Shape, empty_grid
from fedprompt_jax.mesh import make_mesh
from fedprompt_jax.models import attention
from fedprompt_jax.models.config import ModelConfig, Rotary
from fedprompt_jax.models.kernels import choice
from fedprompt_jax.models.reads import Reads
from fedprompt_jax.models.sizes import base_leaves
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.peft.prompt import Prompt
from fedprompt_jax.planning import counts, hlo, topology
from fedprompt_jax.planning.programs import Placed

_CHIP = flags.DEFINE_string('chip', 'v5e', 'A chip of planning/topology.py.')
_KINDS = flags.DEFINE_list('kinds', [], 'Kinds of attention; none: all.')
_WHOLE = flags.DEFINE_bool('whole', False, 'Compile the gradient of a model.')
_ROWS = flags.DEFINE_integer('rows', 16, 'Rows of a grid.')
_LAYERS = flags.DEFINE_integer('layers', 30, 'Layers of the model.')
_REMAT = flags.DEFINE_bool('use_remat', True, 'Recompute its layers.')
_MLP = flags.DEFINE_bool('remat_mlp', False, 'Recompute its MLPs alone.')
LENGTH, HEADS, KV_HEADS, SIZE = 1024, 9, 3, 64
SCALE = SIZE**-0.5


def main() -> None:
    devices = topology.devices(_CHIP.value, '1')
    mesh = make_mesh(1, 1, devices[:1])
    rows = [compiled(kind, mesh) for kind in _KINDS.value or kinds()]
    if children.JSON.value:
        print(json.dumps({'chip': _CHIP.value, 'rows': rows}))
        return
    for row in rows:
        print(
            f'{row["kind"]:8} {row["temporaries"] / 1e6:10.1f} MB of '
            f'temporaries {row["bytes"] / 1e6:10.1f} MB moved, compiled in '
            f'{row["seconds"]:.0f} s'
        )


def kinds() -> list[str]:
    """The kinds of attention that the chip has."""
    if _CHIP.value in topology.GPUS:
        return ['xla', 'cudnn', 'pallas']
    # A whole model's rows would have to be packed in another way.
    return ['xla', *([] if _WHOLE.value else ['splash']), 'pallas']


def compiled(kind: str, mesh: Mesh) -> dict[str, Any]:
    """What XLA says of a kind of attention."""
    function, args = (whole if _WHOLE.value else alone)(kind, mesh)
    began = time.perf_counter()
    made = function.lower(*args).compile()
    counted = counts.count(hlo.parse(made.as_text()))
    return {
        'kind': kind,
        'temporaries': made.memory_analysis().temp_size_in_bytes,
        'bytes': counted.bytes,
        'kernels': counted.kernels,
        'seconds': time.perf_counter() - began,
    }


def alone(kind: str, mesh: Mesh):
    """Attention with its gradients, and the shapes of its arguments."""
    kernel = None if kind == 'splash' else choice.make(kind, mesh)

    def attend(q, k, v, reads: Reads):
        if kind == 'splash':
            return splash(q, k, v, reads.reader.segment)
        if kernel is None:
            return attention.attend(q, [(k, v)], reads.mask(True), SCALE)
        return kernel.attend(q, k, v, reads, SCALE, 0.0, True)

    @jax.jit
    def both_ways(q, k, v, d_out, *fields):
        reads = Reads.of(*fields)
        out, pull = jax.vjp(lambda *x: attend(*x, reads), q, k, v)
        return out, pull(d_out)

    def shape(*sizes, dtype=jnp.bfloat16):
        return jax.ShapeDtypeStruct(sizes, dtype)

    rows = _ROWS.value, LENGTH
    keys, number = shape(*rows, KV_HEADS, SIZE), shape(*rows, dtype=jnp.int32)
    args = (
        shape(*rows, HEADS, SIZE), keys, keys, shape(*rows, HEADS * SIZE),
        *[number] * 4,
    )  # fmt: skip
    return both_ways, Placed(mesh).replicate(args)


def splash(q, k, v, segment) -> jax.Array:
    """JAX's splash attention, where tokens read their own segment alone."""
    from jax.experimental.pallas.ops.tpu import splash_attention as library

    causal = library.CausalMask((LENGTH, LENGTH))
    call = library.make_splash_mha_single_device(
        library.MultiHeadMask([causal] * HEADS)
    )

    def row(q, k, v, segment):
        ids = library.SegmentIds(segment, segment)
        return call(q, k, v, segment_ids=ids)

    # It has no scale, and as many key heads as query heads.
    k, v = (jnp.repeat(x, HEADS // KV_HEADS, axis=2) for x in (k, v))
    heads_first = [x.swapaxes(1, 2) for x in (q * SCALE, k, v)]
    out = jax.vmap(row)(*heads_first, segment)
    return out.swapaxes(1, 2).reshape(len(q), LENGTH, -1)


def whole(kind: str, mesh: Mesh):
    """The gradient of a grid of 8 clients, and the shapes of its arguments."""
    width, rows = HEADS * SIZE, _ROWS.value
    config = ModelConfig(
        49152, width, _LAYERS.value, HEADS, KV_HEADS, SIZE, 1536, 1e-5, True,
        8192, Rotary(1e5),
    )  # fmt: skip
    kernel = choice.make(kind, mesh)
    transformer = Transformer(
        config, _REMAT.value, kernel=kernel, remat_mlp=_MLP.value
    )
    leaves = base_leaves(config, 'bfloat16', '')
    base = flax.traverse_util.unflatten_dict(leaves, sep='/')
    bank = {'prompt': jax.ShapeDtypeStruct((8, 10, width), jnp.float32)}
    grid = empty_grid(rows, Shape(LENGTH, 256, (rows,)))
    args = Placed(mesh).replicate((base, bank, grid))
    return grid_gradients, (TunedModel(transformer, Prompt(10)), *args)


if __name__ == '__main__':
    children.start(main)
