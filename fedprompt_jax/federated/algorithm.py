"""What a federated algorithm is given, and what it is to the rest.

    init     ()                              -> server state
    stages   what comes before the first round, if anything
    client   (server state)                  -> what a client keeps at first
    round    (server, clients, cohort)       -> (server, clients, metrics)
    prompts  (server, clients)               -> what these clients answer with
    sent     (server state)                  -> what travels

A server state is any pytree with `params` and `round`. What clients keep lies
outside of it: a round sees the rows of its cohort, leaves [C, ...], and never
those of the whole population.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
from typing import Any, NamedTuple, Protocol

import jax
from ml_collections import config_dict
import optax

from fedprompt_jax.bank.binding import TunedModel
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.federated import optimizers
from fedprompt_jax.federated.aggregates import Aggregate
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.federated.ledger import Sent
from fedprompt_jax.federated.prepared import STEPS
from fedprompt_jax.federated.schedules import ByRound
from fedprompt_jax.federated.server import S, core, server_update
from fedprompt_jax.models.transformer import Transformer

Metrics = dict[str, Any]  # scalars by their names in metrics.jsonl
Steps = Sequence[Sequence[Example]]  # for each step, the batches of all owners


class Simulation(Protocol):
    """How a cohort is computed: packed.py or vmapped.py.

    An owner that turns non-finite changes no other owner's result, if batches
    are plain. If they are prepared, it may make all that is returned NaN, for
    every owner: see prepared.py.
    """

    def gradients(
        self, bank, examples: Sequence[Example]
    ) -> tuple[jax.Array, Any]:
        """Losses f32 [C] and gradients [C, ...]; see PackedSimulation."""

    def losses(self, bank, examples: Sequence[Example]) -> jax.Array:
        """Losses f32 [C] alone; see PackedSimulation."""

    def local_train(
        self,
        tx: optax.GradientTransformation,
        bank,
        opt_state,
        steps: Sequence[Sequence[Example]],
    ) -> LocalResult:
        """The cohort after its local steps; see PackedSimulation."""

    def hessian_products(
        self, bank, tangents, examples: Sequence[Example]
    ) -> Any:
        """Hessians [C, ...] times tangents; see PackedSimulation."""

    def prepare(
        self, examples: Sequence[Example], alone: bool = False
    ) -> Sequence[Example]:
        """The same examples, ready to be computed; see prepared.py.

        Args:
          examples: the batches of all owners in one call.
          alone: whether no two owners may share a row.
        """

    def compute(self, steps: Sequence[Sequence[Example]]) -> Metrics:
        """Tokens and FLOPs of the gradients of `steps`; see ledger.compute."""

    def with_base(self, base: Any) -> 'Simulation':
        """The same with other frozen parameters of the same shapes."""

    def with_model(self, model: TunedModel, base: Any) -> 'Simulation':
        """The same with another model, for which rows have the same shapes."""


class StageBefore(NamedTuple):
    """What an algorithm does before its rounds, such as a distillation.

    The loop of the rounds runs it: it restores, shows a bar, logs, saves every
    config.checkpoint.every steps, and stops when asked.

    Attributes:
      name: of its lines in metrics.jsonl and of its checkpoints.
      steps: how many.
      init: (server state) -> the state of the stage, any pytree of arrays.
      step: (state, number from 0) -> (state, metrics); all are logged, and a
        `loss` is shown by the bar.
      finish: (server state, state after the last step) -> the server's state
        with which the rounds, or the next stage, begin.
      record: (server state after finish) -> what RUN/<name>.json holds; None
        where it leaves no file.
      save_every: steps between two checkpoints; 0: config.checkpoint.every.
      reads: the settings of the algorithm, by key, that the states of the
        stage depend on, apart from the model, the data and the seed. Another
        run of the same settings may take the stage over, if it is the first
        one. None: it is never taken over.
    """

    name: str
    steps: int
    init: Callable[[Any], Any]
    step: Callable[[Any, int], tuple[Any, Metrics]]
    finish: Callable[[Any, Any], Any]
    record: Callable[[Any], dict[str, Any]] | None = None
    save_every: int = 0
    reads: Mapping[str, Any] | None = None


class Probe(NamedTuple):
    """What an algorithm may look at before its rounds.

    Attributes:
      cohort: round, from 0 -> the clients and batches of that round.
      batch: (client, n) -> n of its examples, or all where it has fewer, drawn
        by its number; owner 0 has them.
      num_examples: client -> how many examples it has.
      num_layers: of the model; of its encoder where there is one.
      layer_states: (examples, length) -> f32 [layers, n, length, D], see
        bank/layer_states.py.
      held_out: n -> n examples of the validation split, or all where it has
        fewer, drawn by the run's seed.
    """

    cohort: Callable[[int], Cohort]
    batch: Callable[[int, int], list[Example]]
    num_examples: Callable[[int], int]
    num_layers: int
    layer_states: Callable[[Sequence[Example], int], jax.Array]
    held_out: Callable[[int], list[Example]]


class Excerpt(NamedTuple):
    """A smaller model made of layers of the frozen one; models/auxiliary.py.

    Attributes:
      params: f32, its parameters as the frozen model has them.
      prompts: computes cohorts that train a prompt in front of it; its frozen
        parameters are `params`, until with_base gives it others.
      models: 'model' or 'both' -> computes one owner that trains {'model':
        parameters, 'prompt': a prompt}, of which the prompt stays or does not.
      as_base: parameters f32 -> those that `prompts.with_base` takes.
      transformer: without its parameters.
      full: the frozen model without its parameters.
      base: the frozen model's parameters.
      place_rows: places arrays [R, ...] of the host on the devices.
      fresh: client -> a prompt that it has drawn for itself, leaves [...].
    """

    params: Any
    prompts: Simulation
    models: Mapping[str, Simulation]
    as_base: Callable[[Any], Any]
    transformer: Transformer
    full: Transformer
    base: Any
    place_rows: Callable[[Any], Any]
    fresh: Callable[[int], Any]


class Auxiliary(NamedTuple):
    """Another model over the same clients and instances.

    Attributes:
      simulation: computes its cohorts.
      params: what is trained of it, before any training.
      cohort: round, from 0 -> the clients and instances of that round, in the
        tokens of this model.
      server_steps: round, from 0 -> see Setup.server_steps, likewise.
    """

    simulation: Simulation
    params: Any
    cohort: Callable[[int], Cohort]
    server_steps: Callable[[int], Steps]


class OneByOne(Protocol):
    """What the clients of a cohort keep, taken out and put back one by one."""

    def take(self, place: int) -> Any:
        """What the client in a place of the cohort keeps, leaves [1, ...]."""

    def put(self, place: int, row: Any) -> None:
        """Replaces it, but by a row that is not finite; leaves [1, ...]."""


class Algorithm(NamedTuple):
    """A few pure functions over trees, made by algorithms.<name>.make.

    Attributes:
      init: () -> the server's state before the first round, any pytree with
        `params` (what is trained) and `round` (int32 scalar, rounds done).
      round: (server state, rows of the cohort, cohort) -> (server state, rows,
        metrics). The rows are what the cohort's clients keep, leaves [C, ...],
        or None. `loss` is needed among the metrics; all of them are logged.
        Where prepared batches return NaN, so must the state, the rows or the
        loss be: that is how the loop knows that it has to compute again.
      sent: server state -> Sent, of arrays or of shapes.
      client: server state -> what a client keeps that was never in a cohort,
        leaves [...]; None where clients keep nothing between rounds.
      prompts: (server state, rows) -> bank [C, ...], with which the clients of
        these rows would answer; None where all answer with `params`.
      passes: how often a round takes the gradient of its cohort's batches, for
        what is planned.
      stages: what is done before the first round, one after the other.
      sent_once: server state -> the tree that a client gets in its first round
        and never again; None where there is none.
      one_by_one: the rows that a round gets are not [C, ...] but of one client
        at a time, since each is large: see OneByOne.
      takes: the batches of a cohort that a round takes gradients of, which are
        prepared while the last round is computed: STEPS, EXAMPLES (all steps as
        one) or both. The simulation waits for the results of others.
    """

    init: Callable[[], Any]
    round: Callable[[Any, Any, Cohort], tuple[Any, Any, Metrics]]
    sent: Callable[[Any], Sent]
    client: Callable[[Any], Any] | None = None
    prompts: Callable[[Any, Any], Any] | None = None
    passes: float = 1.0
    stages: Sequence[StageBefore] = ()
    sent_once: Callable[[Any], Any] | None = None
    one_by_one: bool = False
    takes: tuple[str, ...] = (STEPS,)


class Setup(NamedTuple):
    """What an algorithm is made of; read it by attribute.

    Attributes:
      config: whole and checked: an algorithm reads the section of its name.
      simulation: computes cohorts.
      client_tx: the client optimizer, with what is chained before it.
      client_rate: round, from 0 -> learning rate of the client optimizer.
      server_tx: the server optimizer.
      server_rate: round, from 0 -> its learning rate, likewise.
      aggregate: how the clients' trees become one; see aggregates.py.
      num_clients: N, clients of the population.
      params: what is trained, before any training.
      client_settings: round, from 0 -> more hyper-parameters of client_tx that
        follow the round, of parts made by optax.inject_hyperparams.
      server_steps: round, from 0 -> batches, of one owner, of the examples that
        the server holds and no client (config.data.server_share): local_steps
        of them, or with local_epochs passes over all. [] where it holds none.
      auxiliary: section with the keys of config.model -> another model over the
        same clients and instances.
      probe: what may be looked at before the rounds; None where nothing is
        computed.
      excerpt: (first layer, number of layers, whether they are repeated through
        the whole depth, whether a cohort of its prompts is one client) -> a
        smaller model of the frozen model's layers.
      server_simulation: as `simulation`, for the batches of server_steps; None
        where it is the same.
      server_batch: (step, size) -> that many of the examples that the server
        holds, from endless shuffled passes; of owner 0.
    """

    config: config_dict.ConfigDict
    simulation: Simulation
    client_tx: optax.GradientTransformation
    client_rate: ByRound
    server_tx: optax.GradientTransformation
    server_rate: ByRound
    aggregate: Aggregate
    num_clients: int
    params: Any
    client_settings: Callable[[int], dict[str, float]] = lambda round: {}
    server_steps: Callable[[int], Steps] = lambda round: []
    auxiliary: Callable[[config_dict.ConfigDict], Auxiliary] | None = None
    probe: Probe | None = None
    excerpt: Callable[[int, int, bool, bool], Excerpt] | None = None
    server_simulation: Simulation | None = None
    server_batch: Callable[[int, int], list[Example]] | None = None

    def start_clients(self, bank, round: jax.Array) -> Any:
        """States [C, ...] of client optimizers that start in this round.

        Args:
          bank: where each owner starts, leaves [C, ...].
          round: int32 scalar, from 0.
        """
        return self.at_round(_initial(self.client_tx, bank), round)

    def at_round(self, opt_state: Any, round: jax.Array) -> Any:
        """States of client optimizers with the learning rate of a round."""
        number = int(round)
        settings = {optimizers.RATE: self.client_rate(number)}
        settings |= self.client_settings(number)
        return optimizers.with_settings(opt_state, settings)

    def mean(self, bank, cohort: Cohort) -> Any:
        """What the aggregate makes of the cohort's trees: leaves [...]."""
        return self.aggregate(bank, cohort.num_examples)

    def server_step(
        self, state: S, pseudo_gradients, grads, cohort: Cohort
    ) -> tuple[S, Metrics]:
        """The next state, and the norms of the step; see server_update.

        Args:
          state: that the cohort started from.
          pseudo_gradients: of each client, leaves [C, ...].
          grads: the clients' gradients at its params, leaves [C, ...].
          cohort: whose they are.
        """
        settings = {optimizers.RATE: self.server_rate(int(state.round))}
        opt_state = optimizers.with_settings(state.opt_state, settings)
        new, metrics = server_update(
            self.server_tx,
            core(state).replace(opt_state=opt_state),
            self.mean(pseudo_gradients, cohort),
            self.mean(grads, cohort),
        )
        return state.replace(**vars(new)), metrics


@functools.partial(jax.jit, static_argnames='tx')
def _initial(tx: optax.GradientTransformation, bank: Any) -> Any:
    """The state of an optimizer of each owner before any step."""
    return jax.vmap(tx.init)(bank)
