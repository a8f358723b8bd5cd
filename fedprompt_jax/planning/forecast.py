"""What a whole run will need, part by part, from its config."""

from collections.abc import Iterable, Mapping, Sequence
import math
from typing import Any, NamedTuple

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data import splits
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Packer
from fedprompt_jax.evaluation import generation
from fedprompt_jax.experiment.stage_one import Exchange
from fedprompt_jax.federated import ledger, optimizers
from fedprompt_jax.models.sizes import base_leaves
from fedprompt_jax.planning import cost
from fedprompt_jax.planning.chips import Chip
from fedprompt_jax.planning.workload import Workload


class Forecast(NamedTuple):
    """The memory, time and traffic that one run will need.

    Attributes:
      memory: part -> bytes on one chip.
      tokens: tokens of a round of training, without padding.
      useful_flops: floating-point operations of a round, as
        federated/ledger.py counts them.
      flops: those of a round with padding, prompts, attention and
        recomputation.
      round_seconds: seconds of a round of training.
      hours: part of the run -> hours.
      bytes_down: bytes that the server sends to one client in a round.
      bytes_up: bytes that one client returns in a round.
      bytes_kept: bytes that one client keeps between rounds.
      bytes_once: bytes that one client gets in its first round alone.
    """

    memory: dict[str, float]
    tokens: float
    useful_flops: float
    flops: float
    round_seconds: float
    hours: dict[str, float]
    bytes_down: int
    bytes_up: int
    bytes_kept: int
    bytes_once: int


def forecast(
    config: config_dict.ConfigDict,
    model: TunedModel,
    trained: Any,
    workload: Workload,
    chip: Chip,
    exchange: Exchange,
) -> Forecast:
    """The memory, time and traffic of a run; nothing is computed on a device.

    Args:
      config: a checked one; config.mesh gives the number of chips.
      model: the model without its weights, and the kind of what is trained.
      trained: shapes of one owner's trained parameters.
      workload: what the model will read.
      chip: each device of the mesh.
      exchange: what clients get, return and keep.
    """
    model_config, dtype = model.transformer.config, config.model.dtype
    mesh = {'data': config.mesh.data, 'model': config.mesh.model}
    remat, whole = config.model.remat, model.kind.is_full_model
    of_mlp = config.model.remat_mlp
    chips = cost.working(model_config, mesh)

    def gradients(batch: Sequence[Example], packer: Packer) -> cost.Work:
        """The work of one step on a batch, over all its grids."""
        return sum(
            (
                cost.gradient(model_config, *shape, remat, whole, of_mlp)
                for shape in grids(packer, batch)
            ),
            cost.Work(0.0, 0.0),
        )

    def step(batches: Sequence[Sequence[Example]], packer: Packer) -> float:
        """Mean seconds of one gradient, over the batches."""
        return _mean(
            cost.seconds(gradients(b, packer), chip, dtype, chips)
            for b in batches
        )

    score = _score_seconds(config, model, workload, chip, mesh)
    v, p = config.validation, config.personalization
    validations = 1 + math.ceil(config.rounds / v.every) if v.every else 0
    # A client's prompt is scored on its local examples and on those of the
    # common set, of which global_examples / clients are local ones: they are
    # scored once.
    official = config.data.splits == splits.OFFICIAL
    own = 0 if official else p.global_examples / p.clients
    examples = p.eval_examples + p.global_examples - own
    banks = len(_scored_epochs(p))
    banks += len([a for a in p.alphas if 0 < a < 1]) if p.epochs else 0
    # Bare, initial and global prompts.
    shared = 3 * p.clients * p.eval_examples
    shared += 3 * p.global_examples if official else 0
    steps = p.epochs * math.ceil(p.train_examples / p.batch_size)
    # Gradients of batches that a client takes in a round.
    gradients_taken = workload.round_steps * exchange.passes
    round_seconds = gradients_taken * step(workload.cohorts, workload.training)
    seconds = {
        'training': config.rounds * round_seconds,
        'validation': validations * v.clients * v.examples * score,
        'personalization': steps
        * step(workload.epochs, workload.personalization),
        'scoring': (shared + banks * p.clients * examples) * score,
    }
    useful = [ledger.compute(model, [b]) for b in workload.cohorts]
    return Forecast(
        memory=_memory(config, model, trained, workload, mesh, exchange),
        tokens=gradients_taken * _mean(u['tokens'] for u in useful),
        useful_flops=gradients_taken * _mean(u['flops'] for u in useful),
        flops=gradients_taken
        * _mean(
            gradients(b, workload.training).flops for b in workload.cohorts
        ),
        round_seconds=round_seconds,
        hours={name: s / 3600 for name, s in seconds.items()},
        bytes_down=ledger.tree_bytes(exchange.sent.down),
        bytes_up=ledger.tree_bytes(exchange.sent.up),
        bytes_kept=ledger.tree_bytes(exchange.kept),
        bytes_once=ledger.tree_bytes(exchange.once),
    )


def grids(
    packer: Packer, examples: Sequence[Example]
) -> list[tuple[int, int, int]]:
    """The grids that a batch is packed into: (rows, length, targets) of each.

    Args:
      packer: packs the batch; `rows` is one of those that it compiles for.
      examples: of the batch.
    """
    return [
        (size, shape.length, shape.targets)
        for shape, rows in packer.rows(examples)
        for size in shape.grids(len(rows))
    ]


def _score_seconds(
    config: config_dict.ConfigDict,
    model: TunedModel,
    workload: Workload,
    chip: Chip,
    mesh: Mapping[str, int],
) -> float:
    """Mean seconds to score one request: its losses, and its text if any."""
    model_config, dtype = model.transformer.config, config.model.dtype
    chips, total = cost.working(model_config, mesh), 0.0
    for batch in workload.scored:
        for shape in grids(workload.evaluation, batch):
            work = cost.forward(model_config, *shape)
            total += cost.seconds(work, chip, dtype, chips)
    base = _base(config, model)
    for rows, length, share in generated(config, workload.queries):
        work = cost.forward(model_config, rows, length, 1)
        steps = cost.decode_seconds(
            model_config,
            base,
            rows,
            config.evaluation.max_new_tokens,
            chip,
            dtype,
            mesh,
        )
        prefill = cost.seconds(work, chip, dtype, chips)
        total += share * (prefill + steps)
    return total / workload.requests


def generated(
    config: config_dict.ConfigDict, queries: Iterable[int]
) -> list[tuple[int, int, float]]:
    """The batches in which text is generated for some queries.

    Args:
      config: of the run.
      queries: their lengths in tokens; a sample of the run's queries.

    Returns:
      (rows, padded length, share) of each batch. The share, from 0 to 1, is
      that of the rows which the sample fills: other queries of the run would
      fill the rest of its last batch.
    """
    lengths, e = sorted(queries, reverse=True), config.evaluation
    left, result = len(lengths), []
    for rows, length in generation.batches(
        lengths,
        e.batch_size,
        config.packing.max_tokens,
        e.max_new_tokens,
        config.mesh.data,
    ):
        result.append((rows, length, min(1.0, left / rows)))
        left -= rows
    return result


def _memory(
    config: config_dict.ConfigDict,
    model: TunedModel,
    trained: Any,
    workload: Workload,
    mesh: Mapping[str, int],
    exchange: Exchange,
) -> dict[str, float]:
    """Part -> bytes on one chip, each with the grid that takes most of it."""
    model_config, dtype = model.transformer.config, config.model.dtype
    remat, whole = config.model.remat, model.kind.is_full_model
    of_mlp = config.model.remat_mlp
    base = _base(config, model)
    shapes = [
        (rows, s.length, s.targets)
        for s in workload.training.shapes
        for rows in s.rows
    ]
    tokens = model.kind.slots + config.evaluation.max_new_tokens
    owners = max(config.clients_per_round, config.personalization.clients)
    tx = optimizers.make(config.client.optimizer, config.client.learning_rate)
    sharing = cost.sharing(model_config, mesh['model'])
    kernel = model.transformer.kernel
    how = dtype, remat, whole, sharing, kernel, of_mlp

    def of_chip(rows: int) -> int:
        return -(-rows // mesh['data'])

    return {
        'base': cost.base_bytes(base, mesh, config.mesh.fsdp),
        'gathered': (
            cost.gathered_bytes(base, mesh) if config.mesh.fsdp else 0.0
        ),
        'bank and optimizers': cost.bank_bytes(trained, tx, owners),
        'auxiliary model': _auxiliary_bytes(exchange),
        'activations': max(
            cost.saved_bytes(model_config, of_chip(rows), length, targets, *how)
            for rows, length, targets in shapes
        ),
        'a layer at work': max(
            cost.layer_bytes(model_config, of_chip(rows), length, *how)
            for rows, length, _ in shapes
        ),
        'attention scores': max(
            cost.score_bytes(
                model_config, of_chip(rows), length, dtype, sharing, kernel
            )
            for rows, length, _ in shapes
        ),
        'logits': max(
            cost.logits_bytes(model_config, rows, targets, mesh)
            for rows, _, targets in shapes
        ),
        'generation cache': max(
            (
                cost.cache_bytes(model_config, rows, length + tokens, dtype)
                for rows, length, _ in generated(config, workload.queries)
            ),
            default=0.0,
        )
        / mesh['data'],
    }


def _auxiliary_bytes(exchange: Exchange) -> float:
    """Bytes of the model that one client trains, and of what that takes."""
    once = ledger.tree_bytes(exchange.once)
    # The server's, a gradient, and what the client keeps before and after a
    # step; one client is at work at a time.
    return 2.0 * (once + ledger.tree_bytes(exchange.kept)) if once else 0.0


def _base(config: config_dict.ConfigDict, model: TunedModel) -> cost.Leaves:
    """The leaves of the model's base in the config's dtypes."""
    model_config, settings = model.transformer.config, config.model
    return base_leaves(model_config, settings.dtype, settings.quantization)


def needed(memory: Mapping[str, float]) -> float:
    """Bytes of one chip at the worst moment.

    Training and generation take turns: they never need memory together.

    Args:
      memory: part -> bytes, of a Forecast.
    """
    training = cost.backward_bytes(
        memory['activations'],
        memory['a layer at work'],
        memory['attention scores'],
        memory['logits'],
    )
    parts = 'base', 'gathered', 'bank and optimizers', 'auxiliary model'
    always = sum(memory[part] for part in parts)
    return always + max(training, memory['generation cache'])


def _scored_epochs(p: config_dict.ConfigDict) -> list[int]:
    """The epochs after which config.personalization scores its prompts."""
    epochs = range(1, p.epochs + 1)
    return [n for n in epochs if n == p.epochs or n % p.every == 0]


def _mean(numbers: Iterable[float]) -> float:
    return float(np.mean(list(numbers)))
