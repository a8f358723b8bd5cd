"""What the plan's formulas expect of a program, beside what XLA says."""

from collections.abc import Mapping
import math
from typing import NamedTuple

import flax.traverse_util
import jax
from ml_collections import config_dict

from fedprompt_jax.mesh import cut
from fedprompt_jax.models.sizes import (
    base_leaves,
    block_params,
    target_params,
)
from fedprompt_jax.planning import cost
from fedprompt_jax.planning.programs import Program


class Planned(NamedTuple):
    """What the formulas of cost.py expect of a program on one chip.

    Attributes:
      flops: floating-point operations; NaN where there is no formula.
      temporaries: bytes that it needs besides arguments and results; likewise.
    """

    flops: float = math.nan
    temporaries: float = math.nan


def summed(name: str, program: Program, mesh: Mapping[str, int]) -> int:
    """Numbers that the chips of a data mesh sum in a gradient; else 0.

    They are the losses of the owners, and of nobody, and the gradients.

    Args:
      name: of programs.of_run.
      program: its value there.
      mesh: {'data': chips, 'model': chips}.
    """
    if 'gradient' not in name or mesh['model'] > 1:
        return 0
    if program.args[0].kind.is_full_model:  # each layer sums its own
        return 0
    leaves = jax.tree.leaves(program.args[2])  # the bank's, [C, ...]
    return leaves[0].shape[0] + 1 + sum(x.size for x in leaves)


def read_by_steps(
    name: str, program: Program, mesh: Mapping[str, int]
) -> set[int]:
    """Numbers on a chip of each array that a step of decoding reads whole.

    They are each layer's weights, and the keys or the values of the queries
    and of all outputs, of a layer and of all layers; none for another program.

    Args:
      name: of programs.of_run.
      program: its value there.
      mesh: {'data': chips, 'model': chips}.
    """
    if name != 'decoding':
        return set()
    model, base, *_ = program.args
    found = set()
    for path, x in flax.traverse_util.flatten_dict(base, sep='/').items():
        if 'layers/' in path and path.endswith('/kernel'):
            spec = cut(path, x.shape, mesh, fsdp=False)
            parts = math.prod(mesh[axis] for axis in spec if axis is not None)
            found.add(x.size // x.shape[0] // parts)
    sizes = model.transformer.config
    rows, length, new = program.size
    for tokens in (length, new - 1):
        numbers = -(-rows // mesh['data']) * tokens
        numbers *= sizes.num_kv_heads * sizes.head_dim
        # XLA may cut heads over 'model', or not.
        for parts in (1, mesh['model']):
            found |= {n // parts for n in (numbers, numbers * sizes.num_layers)}
    return found - {0}


def planned(
    name: str,
    program: Program,
    config: config_dict.ConfigDict,
    mesh: Mapping[str, int],
) -> Planned:
    """What cost.py expects of a program on one chip of the mesh.

    Args:
      name: of programs.of_run.
      program: its value there.
      config: of the run.
      mesh: {'data': chips, 'model': chips}.
    """
    if not program.size or name.startswith('distillation'):
        return Planned()
    model = program.args[0]
    sizes, dtype = model.transformer.config, config.model.dtype
    kernel = model.transformer.kernel
    rows, length, targets = program.size
    remat, whole = config.model.remat, model.kind.is_full_model
    of_mlp = config.model.remat_mlp
    chips = cost.working(sizes, mesh)
    of_chip = -(-rows // mesh['data'])
    sharing = cost.sharing(sizes, mesh['model'])

    def counted(work: cost.Work) -> float:
        """FLOPs that a program's text shows; no custom kernel shows its own."""
        by_xla = cost.keeps_scores(sizes, length, dtype, kernel)
        return (work if by_xla else work._replace(attention=0.0)).flops

    if 'gradient' in name:
        work = cost.gradient(sizes, rows, length, targets, remat, whole, of_mlp)
        how = dtype, remat, whole, sharing, kernel, of_mlp
        temporaries = cost.backward_bytes(
            cost.saved_bytes(sizes, of_chip, length, targets, *how),
            cost.layer_bytes(sizes, of_chip, length, *how),
            cost.score_bytes(sizes, of_chip, length, dtype, sharing, kernel),
            cost.logits_bytes(sizes, rows, targets, mesh),
        )
        gathered = 0.0
        if model.transformer.gather is not None:
            leaves = base_leaves(sizes, dtype, config.model.quantization)
            gathered = cost.gathered_bytes(leaves, mesh)
        # The bank as the model reads it, and its gradient before it is summed.
        bank = 2.0 * sum(x.size * 4 for x in jax.tree.leaves(program.args[2]))
        return Planned(counted(work) / chips, temporaries + gathered + bank)
    if name == 'scoring':
        work = cost.forward(sizes, rows, length, targets)
        return Planned(counted(work) / chips)
    work = cost.forward(sizes, rows, length, 1)
    # Every further token passes the layers and the head, and attends to the
    # virtual tokens, the query and the places of all new tokens.
    further = (targets - 1) * rows
    each = block_params(sizes) + target_params(sizes)
    heads = sizes.num_layers * sizes.num_heads * sizes.head_dim
    seen = model.kind.slots + length + targets
    work += cost.Work(further * each, further * 2 * seen * heads)
    return Planned(work.flops / chips)
