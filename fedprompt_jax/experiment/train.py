"""Stage 1: a global prompt, trained round by round."""

import dataclasses
import functools
import logging
import time
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.bank.owners import replicate
from fedprompt_jax.data.sampling import Cohort
from fedprompt_jax.evaluation.scoring import Request
from fedprompt_jax.experiment import before_rounds, guard, one_round, views
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.checkpoint import Checkpoints
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.experiment.one_round import Round
from fedprompt_jax.experiment.preemption import Preemption
from fedprompt_jax.experiment.prefetch import prefetched
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.scores import leading_metric, summary
from fedprompt_jax.experiment.stage import Stage, repeat
from fedprompt_jax.federated import ledger
from fedprompt_jax.federated.algorithm import Algorithm

_LOG = logging.getLogger(__name__)
MESSAGES = 'messages.json'  # in the run folder
BY_LOSS = 'loss'  # of config.validation.by


@flax.struct.dataclass
class TrainState:
    """The state of stage 1 between two rounds; a checkpoint holds it.

    Attributes:
      server: the algorithm's ServerState.
      best: params with the best score so far, of the validations every
        config.validation.every rounds. The one after the last round does not
        count: a longer run may continue from this state.
      best_score: f32 scalar, that score, the leading_metric; -1 before the
        first.
      best_loss: f32 scalar, its validation loss, which decides among equals, or
        alone where config.validation.by says so.
      best_round: int32 scalar, rounds done when it was reached.
    """

    server: Any
    best: Any
    best_score: jax.Array
    best_loss: jax.Array
    best_round: jax.Array


def train(
    experiment: Experiment,
    run: RunFolder,
    checkpoints: Checkpoints,
    preemption: Preemption,
    clients: Clients,
) -> TrainState:
    """Runs what is left before the rounds, and the rounds that are left.

    Returns the state after the last round.

    Args:
      experiment: its parts.
      run: where metrics go.
      checkpoints: of this stage.
      preemption: whether to stop after a round.
      clients: what they keep; those of the latest checkpoint are restored.

    Raises:
      Preempted: stopped after a round, which is saved.
      FloatingPointError: the server's state would turn non-finite. The last
        good checkpoint is intact.
    """
    config = experiment.config
    every, views_every = config.validation.every, config.evaluation.views_every
    by_loss = config.validation.by == BY_LOSS
    start = initial(experiment)
    state = checkpoints.restore(start)
    if state is None:
        server = before_rounds.run_all(experiment, run, preemption)
        run.record(MESSAGES, _messages(experiment.algorithm, server))
        state = dataclasses.replace(start, server=server)
        state = validate(experiment, run, state)
        if views_every:
            views.log(experiment, run, clients, state.server)
        save(checkpoints, run, state, clients, by_loss)
    else:
        clients.restore(checkpoints.notes())
    first = int(state.server.round)
    rounds = range(first, config.rounds)

    def after(state: TrainState) -> TrainState:
        done = int(state.server.round)
        if every and done % every == 0:
            state = validate(experiment, run, state)
        if views_every and done % views_every == 0:
            views.log(experiment, run, clients, state.server)
        return state

    return repeat(
        Stage(
            'round',
            'training rounds',
            config.rounds,
            config.checkpoint.every,
            functools.partial(train_round, experiment, run, clients),
            after,
            functools.partial(
                save, checkpoints, run, clients=clients, by_loss=by_loss
            ),
        ),
        state,
        first,
        prefetched(functools.partial(one_round.cohort, experiment), rounds),
        run,
        preemption,
    )


def _messages(algorithm: Algorithm, server: Any) -> dict[str, Any]:
    """Lists all that a client and the server send each other."""
    sent, once = algorithm.sent(server), algorithm.sent_once
    return {
        'down_once': ledger.listing(once(server) if once else None),
        'down': ledger.listing(sent.down),
        'up': ledger.listing(sent.up),
    }


def initial(experiment: Experiment) -> TrainState:
    """The state before the first round."""
    return experiment.devices.replicate(
        TrainState(
            experiment.algorithm.init(),
            experiment.params,
            jnp.float32(-1),
            jnp.float32(jnp.inf),
            jnp.int32(0),
        )
    )


def train_round(
    experiment: Experiment,
    run: RunFolder,
    clients: Clients,
    state: TrainState,
    cohort: Cohort,
    began: float,
) -> tuple[TrainState, float]:
    """One round, logged; returns the next state and the clients' mean loss.

    Args:
      experiment: its parts.
      run: where the line goes.
      clients: what they keep; the cohort's rows are replaced.
      state: before the round.
      cohort: clients and batches of the round, of one_round.cohort.
      began: perf_counter's seconds when the wait for the cohort began.

    Raises:
      FloatingPointError: the server's state would turn non-finite.
    """
    algorithm = experiment.algorithm
    new = clients.never_sampled(cohort.clients)
    done = one_round.compute(experiment, clients, state.server, cohort)
    server, number = done.server, int(done.server.round)
    _require_finite(done, number, run)
    clients.put(cohort.clients, done.rows)
    run.log(
        stage='train',
        round=number,
        **done.metrics,
        **ledger.traffic(algorithm.sent(server), len(cohort.clients)),
        **_sent_once(algorithm, server, new),
        slowest_share=ledger.slowest_share(cohort.steps),
        seconds=time.perf_counter() - began,
    )
    if (
        run.writes
        and number == guard.ROUNDS
        and (warning := guard.prompt_moves(run.metrics()))
    ):
        _LOG.warning(warning)
        run.warn(warning)
    return dataclasses.replace(state, server=server), done.metrics['loss']


def _sent_once(algorithm: Algorithm, server: Any, new: int) -> dict[str, int]:
    """Bytes that clients get in their first round alone, where there are any.

    Args:
      algorithm: says what these are.
      server: its state.
      new: clients of the round that were in no round before.
    """
    if algorithm.sent_once is None:
        return {}
    return {'bytes_once': new * ledger.tree_bytes(algorithm.sent_once(server))}


def choose(
    experiment: Experiment, run: RunFolder, state: TrainState
) -> tuple[Any, int]:
    """The prompt that goes to stage 2, and the rounds it had; see chosen.

    The last prompt is validated here where validation.every left it out. A
    run that continues with other settings of the evaluation keeps its choice.
    """
    every, rounds = experiment.config.validation.every, int(state.server.round)
    validated = state
    if every and rounds % every:
        validated = validate(experiment, run, state)
    choice = run.info.get('kept_choice')
    if choice is None:
        return chosen(validated)
    if choice == rounds:
        return state.server.params, rounds
    if choice == int(state.best_round):
        return state.best, choice
    raise ValueError(
        f"{run.path / 'run.json'}: 'kept_choice' is {choice!r}, but the "
        f'prompts of this run are of rounds {int(state.best_round)} and '
        f'{rounds}; restore the file from a copy, or start in another '
        '--workdir.'
    )


def chosen(state: TrainState) -> tuple[Any, int]:
    """The prompt that stage 2 starts from, and the rounds it had.

    It is the best by validation, or the last one without validation.
    """
    if float(state.best_score) < 0:
        return state.server.params, int(state.server.round)
    return state.best, int(state.best_round)


def validate(experiment: Experiment, run: RunFolder, state: Any) -> TrainState:
    """Scores the server's prompt on the validation clients; logs the means.

    Returns:
      The state, with the prompt as `best` if it is. The initial prompt is
      scored and never chosen: stage 2 needs one that was trained.
    """
    if not experiment.config.validation.every:
        return state
    began = time.perf_counter()
    clients = experiment.data.validation.local
    # As many copies as stage 2 has clients: one program serves both.
    copies = len(experiment.data.held_out.clients)
    bank = replicate(state.server.params, copies)
    requests = [Request(0, int(i)) for instances in clients for i in instances]
    scores = experiment.evaluator.score(bank, requests, 'validation')
    # The positions of each client's requests, which follow each other.
    ends = np.cumsum([len(instances) for instances in clients])
    places = np.split(np.arange(len(requests)), ends[:-1])
    rows = [summary(scores, at, experiment.config.loss) for at in places]
    means = {
        k: float(np.mean([row[k] for row in rows]))
        for k in ('rouge_l', 'exact_match', 'loss')
    }
    metric = leading_metric([len(c) for c in scores.choice_losses])
    spread = np.std([row[metric] for row in rows], ddof=len(rows) > 1)
    error = spread / np.sqrt(len(rows)) if len(rows) > 1 else np.nan
    run.log(
        stage='validation',
        round=int(state.server.round),
        **means,
        **{f'{metric}_se': error},
        clients=len(rows),
        seconds=time.perf_counter() - began,
    )
    # Compared in f32, as they are stored; of equals the earliest stays.
    score, loss = np.float32(means[metric]), np.float32(means['loss'])
    now = [float(score), -float(loss)]
    best = [float(state.best_score), -float(state.best_loss)]
    if experiment.config.validation.by == BY_LOSS:
        now, best = now[1:], best[1:]
    if int(state.server.round) and now > best:
        state = state.replace(
            best=state.server.params,
            best_score=jnp.float32(score),
            best_loss=jnp.float32(loss),
            best_round=state.server.round,
        )
    return experiment.devices.replicate(state)


def save(
    checkpoints: Checkpoints,
    run: RunFolder,
    state: TrainState,
    clients: Clients,
    by_loss: bool = False,
) -> None:
    """Saves the state, what clients keep, and the sizes of the logs."""
    number = int(state.server.round)
    is_best = number == int(state.best_round)
    score = float(state.best_score)
    if by_loss and number:  # the best checkpoint has the highest
        score = 1 / (1 + float(state.best_loss))
    notes = run.notes() | clients.save(number)
    checkpoints.save(number, state, notes, score if is_best else None)
    clients.remove_unused()


def _require_finite(done: Round, number: int, run: RunFolder) -> None:
    """Raises FloatingPointError if the server's state is not finite."""
    if not done.finite:
        raise FloatingPointError(
            f'Round {number} would make the global prompt or the server '
            'optimizer non-finite; stopped. The checkpoint before it is '
            f'intact in {run.path / "checkpoints"}. Smaller values of '
            'config.client.learning_rate and config.server.learning_rate are '
            'the usual cure.'
        )
