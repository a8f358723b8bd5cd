"""What an algorithm asks of its simulation in a round, with nothing computed.

The algorithm's own `round` is traced for its shapes, with a simulation that
writes down what it is asked for and answers zeros. The trace ends where the
server's optimizer is reached, or where a number is read on the host.
"""

from collections.abc import Callable, Hashable, Sequence
import dataclasses
import itertools
from typing import Any, NamedTuple, cast

import flax.traverse_util
import jax
import jax.numpy as jnp
from ml_collections import config_dict
import numpy as np
import optax

from fedprompt_jax import algorithms, peft
from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.bank.kind import ModelInfo
from fedprompt_jax.bank.owners import num_owners, replicate
from fedprompt_jax.bank.whole_and_prompt import WholeAndPrompt
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.experiment import packers, stage_one
from fedprompt_jax.experiment.build import Cast
from fedprompt_jax.federated.algorithm import Excerpt
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.models import auxiliary
from fedprompt_jax.models.sizes import base_leaves, param_shapes
from fedprompt_jax.models.transformer import Transformer
from fedprompt_jax.planning.plan import Inputs

Place = Callable[[Any], Any]  # shapes -> shapes with shardings


class Step(NamedTuple):
    """A local step that the simulation was asked for.

    Attributes:
      model: which is computed.
      base: its parameters, as shapes with shardings.
      bank: what is trained, as shapes [C, ...].
      tx: the optimizer; None where gradients alone are asked for.
      opt_state: its state, as shapes [C, ...]; None likewise.
    """

    model: TunedModel
    base: Any
    bank: Any
    tx: Any = None
    opt_state: Any = None

    @property
    def gradient(self) -> Hashable:
        """Equal for steps whose gradients are one program."""
        leaves, tree = jax.tree.flatten(self.bank)
        return self.model, tree, tuple((x.shape, x.dtype) for x in leaves)


class Recorded(NamedTuple):
    """What a round of an algorithm consists of.

    Attributes:
      clients: the steps of clients, each kind of step once.
      server_trains: those of the server on its own examples, likewise.
      server_tx: the server's optimizer.
      server_state: the algorithm's state, as shapes, if the server's optimizer
        steps on the cohort's aggregate; else None.
      excerpt: the small model of FedSP, its parameters as shapes, if a stage
        distills it; else None.
    """

    clients: tuple[Step, ...]
    server_trains: tuple[Step, ...]
    server_tx: optax.GradientTransformation
    server_state: Any
    excerpt: Excerpt | None


class _ServerStep(Exception):
    """The optimizer of the server is reached."""


@dataclasses.dataclass(frozen=True)
class Recorder:
    """A Simulation that records its calls in `steps` and returns zeros."""

    model: TunedModel
    base: Any
    steps: list[Step]

    def gradients(self, bank, examples):
        """Losses [C] and gradients, all zero."""
        del examples
        self.steps.append(Step(self.model, self.base, shapes(bank)))
        return jnp.zeros(num_owners(bank)), _zeros(bank)

    def hessian_products(self, bank, tangents, examples):
        """Products like the bank, all zero."""
        del tangents, examples
        return _zeros(bank)

    def local_train(self, tx, bank, opt_state, steps) -> LocalResult:
        """The bank as it is."""
        args = shapes(bank), tx, shapes(opt_state)
        self.steps.append(Step(self.model, self.base, *args))
        losses = jnp.zeros((len(steps), num_owners(bank)))
        return LocalResult(bank, opt_state, losses, losses, _zeros(bank))

    def prepare(self, examples, alone=False):
        """Nothing is packed."""
        del alone
        return examples

    def compute(self, steps):
        """Nothing is counted."""
        del steps
        return {'tokens': 0, 'flops': 0}

    def with_base(self, base) -> 'Recorder':
        """Its parameters have the shapes that are known."""
        del base
        return self

    def with_model(self, model: TunedModel, base) -> 'Recorder':
        """The same of another model."""
        return Recorder(model, base, self.steps)


def record(
    config: config_dict.ConfigDict,
    inputs: Inputs,
    model: TunedModel,
    base: Any,
    place: Place,
) -> Recorded:
    """Traces the first round of the config's algorithm.

    Args:
      config: a checked one, of the packed simulation.
      inputs: of plan.read.
      model: as it is computed on the mesh.
      base: its parameters, as shapes with shardings.
      place: puts shapes whole on every device.
    """
    steps: list[Step] = []
    excerpts: list[Excerpt] = []
    found: dict[str, Any] = {'server_state': None}

    def excerpt(start: int, size: int, repeated: bool, alone: bool) -> Excerpt:
        del alone
        part = auxiliary.config(model.transformer.config, start, size, repeated)
        excerpts.append(_excerpt(config, inputs, model, part, place, steps))
        return excerpts[-1]

    def at_server(updates, opt_state, params=None):
        raise _ServerStep

    def round(params):
        setup = stage_one.setup(
            config,
            cast(Any, Recorder(model, base, steps)),
            params,
            config.clients_per_round,
            lambda round: inputs.workload.cohorts[:1],
            excerpt=excerpt,
        )
        found['tx'] = setup.server_tx
        found['spy'] = spy = optax.GradientTransformation(
            setup.server_tx.init, at_server
        )
        algorithm = algorithms.get(config.algorithm).make(
            setup._replace(server_tx=spy)
        )
        state = algorithm.init()
        found['state'] = shapes(state)
        found['stages'] = len(algorithm.stages)
        if excerpts:
            excerpts[-1] = excerpts[-1]._replace(
                params=shapes(excerpts[-1].params)
            )
        # Algorithms read the number of the round on the host.
        change = getattr(state, 'replace', None) or state._replace
        state = change(round=np.int32(0))
        rows = _rows(algorithm, state, config)
        algorithm.round(state, rows, _cohort(config, inputs))

    try:
        jax.eval_shape(round, inputs.trained)
    except _ServerStep:
        found['server_state'] = found['state']
    except (
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerArrayConversionError,
    ):
        pass  # a number is read: what comes after it is host work
    by_server = [s for s in steps if s.tx is found['spy']]
    return Recorded(
        _distinct([s for s in steps if s.tx is not found['spy']]),
        _distinct([s._replace(tx=found['tx']) for s in by_server]),
        found['tx'],
        found['server_state'],
        excerpts[-1] if excerpts and found['stages'] else None,
    )


def shapes(tree: Any) -> Any:
    """The shapes and dtypes of a tree's arrays."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)


def _excerpt(
    config: config_dict.ConfigDict,
    inputs: Inputs,
    model: TunedModel,
    part: Any,
    place: Place,
    steps: list[Step],
) -> Excerpt:
    """The small model as build.make_excerpt makes it, without numbers."""
    info = ModelInfo(part, inputs.names, param_shapes(part))
    kind = peft.get(config.peft).make(config, info)
    kernel = model.transformer.kernel
    c = config.model
    transformer = Transformer(part, c.remat, None, kernel, c.remat_mlp)

    def tree(dtype):
        leaves = base_leaves(part, dtype)
        return flax.traverse_util.unflatten_dict(leaves, sep='/')

    params, base = tree(jnp.float32), place(tree(config.model.dtype))

    def computing(kind):
        tuned = TunedModel(transformer, kind, model.copies)
        return Recorder(tuned, base, steps)

    fresh = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), inputs.trained)
    return Excerpt(
        _zeros(params),
        cast(Any, computing(kind)),
        {
            which: cast(Any, computing(WholeAndPrompt(kind, which)))
            for which in ('model', 'both')
        },
        Cast(config.model.dtype),
        transformer,
        Transformer(model.transformer.config, gather=model.transformer.gather),
        None,
        place,
        lambda client: fresh,
    )


class _OneByOne:
    """Rows of clients that are large, one at a time: all have the first's."""

    def __init__(self, row: Any) -> None:
        self.row = row

    def take(self, place: int) -> Any:
        del place
        return replicate(self.row, 1)

    def put(self, place: int, row: Any) -> None:
        del place, row


def _rows(algorithm, state, config: config_dict.ConfigDict) -> Any:
    """What the clients of the first cohort keep, before their first round."""
    if algorithm.client is None:
        return None
    row = algorithm.client(state)
    if algorithm.one_by_one:
        return _OneByOne(row)
    return replicate(row, config.clients_per_round)


def _cohort(config: config_dict.ConfigDict, inputs: Inputs) -> Cohort:
    """A cohort of the batches that there are, over and over."""
    batches = itertools.cycle(inputs.workload.cohorts)
    steps = itertools.islice(batches, packers.local_steps(config))
    owners = np.arange(config.clients_per_round)
    examples = np.full(len(owners), config.data.client_size)
    return Cohort(owners, examples, [list(batch) for batch in steps])


def _distinct(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Each kind of step once: of one gradient and one optimizer."""
    return tuple({(step.gradient, step.tx): step for step in steps}.values())


def _zeros(tree: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), tree)
