"""The programs of a run, from the shapes of their arguments alone.

Each is a function that the run calls, with arguments of the shapes, dtypes and
shardings that it has there. Nothing is loaded or computed, so that a program
can be lowered or compiled for devices that are not on this machine. What
clients and server do is recorded from the algorithm's own `round`. A program
that reads a grid reads the one with the most tokens, of the cohort's packer.

    distillation states   the full model's, which a small one learns (FedSP)
    distillation logits   likewise, where the objective has them
    distillation          a step of the small model
    client gradient       of a cohort's grid
    client step           of the optimizers of all clients
    server gradient       of the server's own examples (FedSP)
    server step           on them, or on the cohort's aggregate
    prompt cache          keys and values of each owner's virtual tokens
    prefill               queries behind them, and the first token of each
    decoding              the same, and the loop over all further tokens
    scoring               losses of targets

'client gradient 2' and 'client step 2' are those of another model or another
optimizer in the same round, as Ditto and FedSP have them.
"""

import functools
import itertools
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
from jax.sharding import (
    AbstractMesh,
    Mesh,
    NamedSharding,
    PartitionSpec,
)
from ml_collections import config_dict

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.grid import grid_gradients, grid_losses
from fedprompt_jax.data.packing import Packer, empty_grid
from fedprompt_jax.evaluation import causal, seq2seq
from fedprompt_jax.federated import client, optimizers, server
from fedprompt_jax.federated.algorithm import Excerpt
from fedprompt_jax.federated.auxiliary import distillation
from fedprompt_jax.mesh import Gather, base_sharding, copies, row_sharding
from fedprompt_jax.models.kernels import choice as kernel_choice
from fedprompt_jax.models.sizes import base_leaves
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.planning import forecast
from fedprompt_jax.planning.first_round import Recorded, record
from fedprompt_jax.planning.plan import Inputs

# A turn of FedSP has two kinds of steps, and so has a round of Ditto.
AGAIN = ('', ' 2', ' 3')
END = (0,)  # of an output: a program is the same for any tokens


class Program(NamedTuple):
    """A function of a run, and the arguments that it gets there.

    Attributes:
      call: made by jax.jit.
      args: static ones, and trees of ShapeDtypeStructs with shardings.
      size: rows, tokens of a row and targets (or new tokens) of its batch; ()
        where it reads none.
      exact: whether products of f32 numbers are exact, as in a run in f32.
    """

    call: Any
    args: tuple[Any, ...]
    size: tuple[int, ...]
    exact: bool

    def lower(self, *platforms: str) -> Any:
        """The program in StableHLO, as jax.stages.Lowered.

        Args:
          *platforms: such as 'tpu', where they are not those of the mesh; an
            AbstractMesh has none.
        """
        asked = {'lowering_platforms': platforms} if platforms else {}
        with jax.default_matmul_precision('highest' if self.exact else None):
            return self.call.trace(*self.args).lower(**asked)


class Placed(NamedTuple):
    """Shapes as they lie on a mesh; see mesh.Devices.

    Attributes:
      mesh: ('data', 'model').
    """

    mesh: Mesh | AbstractMesh

    def replicate(self, tree: Any) -> Any:
        """Arrays, or their shapes, whole on every device."""
        whole = NamedSharding(self.mesh, PartitionSpec())
        return jax.tree.map(lambda x: _struct(x, whole), tree)

    def rows(self, tree: Any, axis: int = 0) -> Any:
        """Arrays, or their shapes, with rows on an axis, cut over 'data'."""

        def place(x):
            spec = row_sharding(self.mesh, x.shape[axis]).spec
            spec = PartitionSpec(*[None] * axis, *spec)
            return _struct(x, NamedSharding(self.mesh, spec))

        return jax.tree.map(place, tree)

    def base(
        self, model: TunedModel, config: config_dict.ConfigDict
    ) -> dict[str, Any]:
        """The frozen model's parameters, cut as the config says."""
        leaves = base_leaves(
            model.transformer.config,
            config.model.dtype,
            config.model.quantization,
        )
        sharding = base_sharding(self.mesh, leaves, config.mesh.fsdp)
        placed = {k: _struct(x, sharding(k)) for k, x in leaves.items()}
        return flax.traverse_util.unflatten_dict(placed, sep='/')


def of_run(
    config: config_dict.ConfigDict, inputs: Inputs, mesh: Mesh | AbstractMesh
) -> dict[str, Program]:
    """The programs of a run by name, in the order of the module's docstring.

    Args:
      config: a checked one.
      inputs: of plan.read.
      mesh: of devices of any machine, or of none (AbstractMesh).

    Raises:
      ValueError: the config asks for the reference simulation.
    """
    if config.simulation != 'packed':
        raise ValueError(
            f"config.simulation={config.simulation!r} must be 'packed' for "
            'the programs of a run; the other is a reference for tests.'
        )
    placed = Placed(mesh)
    gather = Gather(mesh) if config.mesh.fsdp else None
    kernel = kernel_choice.make(config.model.attention, mesh)
    transformer = Transformer(
        inputs.model.transformer.config,
        config.model.remat,
        gather,
        kernel,
        config.model.remat_mlp,
    )
    model = TunedModel(transformer, inputs.model.kind, copies(mesh))
    base = placed.base(model, config)
    recorded = record(config, inputs, model, base, placed.replicate)
    return {
        **_distillation(config, inputs, placed, recorded.excerpt, base),
        **_training(config, inputs, placed, recorded),
        **_evaluation(config, inputs, placed, model, base),
    }


def _training(
    config: config_dict.ConfigDict,
    inputs: Inputs,
    placed: Placed,
    recorded: Recorded,
) -> dict[str, Program]:
    """What the clients and the server compute in a round."""
    exact = _exact(config)
    grid, size = _largest_grid(inputs.workload.training, placed)
    programs = {}
    for name, steps in (
        ('client', recorded.clients),
        ('server', recorded.server_trains),
    ):
        gradients = {step.gradient: step for step in steps}.values()
        for step, again in zip(gradients, AGAIN, strict=False):
            bank = placed.replicate(step.bank)
            programs[f'{name} gradient{again}'] = Program(
                grid_gradients, (step.model, step.base, bank, grid), size, exact
            )
        updates = [step for step in steps if step.tx is not None]
        for step, again in zip(updates, AGAIN, strict=False):
            bank, state = placed.replicate((step.bank, step.opt_state))
            owners = jax.tree.leaves(bank)[0].shape[:1]
            losses, present = placed.replicate(
                (
                    jax.ShapeDtypeStruct(owners, jnp.float32),
                    jax.ShapeDtypeStruct(owners, bool),
                )
            )
            args = step.tx, bank, state, losses, bank, present
            programs[f'{name} step{again}'] = Program(
                client.cohort_step, args, (), exact
            )
    if recorded.server_state is not None:
        state = placed.replicate(server.core(recorded.server_state))
        programs['server step'] = Program(
            server.server_update,
            (recorded.server_tx, state, state.params, state.params),
            (),
            exact,
        )
    return programs


def _evaluation(
    config: config_dict.ConfigDict,
    inputs: Inputs,
    placed: Placed,
    model: TunedModel,
    base: Any,
) -> dict[str, Program]:
    """What scores the prompts of the personalized clients."""
    exact, kind = _exact(config), model.kind
    owners = 1 if kind.is_full_model else config.personalization.clients
    bank = placed.replicate(_bank(inputs.trained, owners))
    grid, size = _largest_grid(inputs.workload.evaluation, placed)
    scoring = Program(grid_losses, (model, base, bank, grid), size, exact)
    if not inputs.workload.queries:  # nothing is written
        return {'scoring': scoring}
    # 1. The queries, and each one's owner's parameters.
    rows, length, new = _largest_batch(config, inputs)
    queries = placed.rows(
        (
            jax.ShapeDtypeStruct((rows, length), jnp.int32),
            jax.ShapeDtypeStruct((rows,), jnp.int32),
        )
    )
    of_queries = bank
    if not kind.is_full_model:
        of_queries = placed.rows(_bank(inputs.trained, rows))

    def writing(call: Any, *before: Any) -> dict[str, Program]:
        return {
            name: Program(
                call,
                (model, base, of_queries, *before, *queries, END, tokens),
                (rows, length, tokens),
                exact,
            )
            for name, tokens in (('prefill', 1), ('decoding', new))
        }

    if model.transformer.config.encoder is not None:
        return {**writing(seq2seq.greedy), 'scoring': scoring}
    # 2. Keys and values of the slots: of each owner, or of each query.
    asked = (of_queries, *queries) if kind.reads_query else (bank,)
    cache = Program(causal.prompt_cache, (model, base, *asked), (), exact)
    past = placed.rows(
        jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                (x.shape[0], rows, *x.shape[2:]), x.dtype
            ),
            _result(causal.prompt_cache, model, base, *asked),
        ),
        axis=1,
    )
    return {
        'prompt cache': cache,
        **writing(causal.greedy, past),
        'scoring': scoring,
    }


def _distillation(
    config: config_dict.ConfigDict,
    inputs: Inputs,
    placed: Placed,
    excerpt: Excerpt | None,
    base: Any,
) -> dict[str, Program]:
    """What a stage of distillation computes, if there is one."""
    if excerpt is None:
        return {}
    c, exact = config[config.algorithm], _exact(config)
    if not c.distill_steps:
        return {}
    # 1. A batch of as many examples; those of the server are like clients'.
    examples = itertools.cycle(itertools.chain(*inputs.workload.cohorts))
    full = c.distill_objective == 'full'
    batch = placed.rows(
        distillation.batch_of(
            [*itertools.islice(examples, c.distill_batch_size)], full
        )
    )
    size = (*batch.tokens.shape, batch.label.shape[1])
    # 2. What the full model says of it.
    args = excerpt.full, base, batch
    programs = {
        'distillation states': Program(
            distillation.last_states, args, size, exact
        )
    }
    states = placed.rows(_result(distillation.last_states, *args))
    logits = None
    if full:
        more = excerpt.full, base, states, batch
        programs['distillation logits'] = Program(
            distillation.target_logits, more, size, exact
        )
        logits = placed.rows(_result(distillation.target_logits, *more))
    # 3. A step of the small model toward it.
    tx = optimizers.make_scheduled(c.distill_optimizer, c.distill_learning_rate)
    params = placed.replicate(excerpt.params)
    opt_state = placed.replicate(jax.eval_shape(tx.init, params))
    static = tx, excerpt.transformer, excerpt.as_base, c.distill_padding
    programs['distillation'] = Program(
        distillation.distill_step,
        (*static, params, opt_state, batch, states, logits),
        size,
        exact,
    )
    return programs


def _result(call: Any, static: Any, *args: Any) -> Any:
    """Shapes of what a call returns, whose first argument is static."""
    return jax.eval_shape(functools.partial(call, static), *args)


def _largest_grid(packer: Packer, placed: Placed) -> tuple[Any, tuple]:
    """The grid with the most tokens, and its rows, length and targets."""
    shape = max(packer.shapes, key=lambda s: max(s.rows) * s.length)
    rows = max(shape.rows)
    grid = placed.rows(empty_grid(rows, shape))
    return grid, (rows, shape.length, shape.targets)


def _largest_batch(
    config: config_dict.ConfigDict, inputs: Inputs
) -> tuple[int, int, int]:
    """Rows, length and new tokens of the largest batch of queries."""
    new = config.evaluation.max_new_tokens
    made = forecast.generated(config, inputs.workload.queries)
    rows, length, _ = max(made, key=lambda batch: batch[0] * (batch[1] + new))
    return rows, length, new


def _bank(trained: Any, owners: int) -> Any:
    """Shapes [C, ...] of a bank of so many owners."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((owners, *x.shape), x.dtype), trained
    )


def _exact(config: config_dict.ConfigDict) -> bool:
    """As build.build sets jax_default_matmul_precision."""
    return config.model.dtype == 'float32'


def _struct(x: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
