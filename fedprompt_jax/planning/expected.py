"""What the plan's formulas expect of a program, beside what XLA says."""

from collections.abc import Mapping
import math
from typing import NamedTuple

import jax
from ml_collections import config_dict

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
    leaves = jax.tree.leaves(program.args[2])  # the bank's, [C, ...]
    return leaves[0].shape[0] + 1 + sum(x.size for x in leaves)


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
    chips = cost.working(sizes, mesh)
    of_chip = -(-rows // mesh['data'])
    sharing = cost.sharing(sizes, mesh['model'])
    if 'gradient' in name:
        work = cost.gradient(sizes, rows, length, targets, remat, whole)
        saved = cost.saved_bytes(
            sizes, of_chip, length, dtype, remat, whole, sharing, kernel
        )
        more = max(
            cost.logits_bytes(sizes, rows, targets, mesh),
            cost.score_bytes(sizes, of_chip, length, dtype, sharing, kernel),
        )
        gathered = 0.0
        if model.transformer.gather is not None:
            leaves = base_leaves(sizes, dtype, config.model.quantization)
            gathered = cost.gathered_bytes(leaves, mesh)
        return Planned(work.flops / chips, saved + more + gathered)
    if name == 'scoring':
        work = cost.forward(sizes, rows, length, targets)
        return Planned(work.flops / chips)
    work = cost.forward(sizes, rows, length, 1)
    # Every further token passes the layers and the head, and attends to the
    # virtual tokens, the query and the places of all new tokens.
    further = (targets - 1) * rows
    each = block_params(sizes) + target_params(sizes)
    heads = sizes.num_layers * sizes.num_heads * sizes.head_dim
    seen = model.kind.slots + length + targets
    work += cost.Work(further * each, further * 2 * seen * heads)
    return Planned(work.flops / chips)
