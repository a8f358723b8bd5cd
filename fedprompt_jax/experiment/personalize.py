"""Stage 2: every held-out client personalizes the global prompt."""

from collections.abc import Iterable, Sequence
import dataclasses
import functools
import logging
import threading
import time
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from fedprompt_jax import personalization
from fedprompt_jax.bank.bare import Nothing
from fedprompt_jax.bank.owners import finite_owners, replicate
from fedprompt_jax.data import splits
from fedprompt_jax.data.sampling import epoch_steps
from fedprompt_jax.evaluation import anchors as anchors_lib
from fedprompt_jax.evaluation import routing, scoring
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.checkpoint import Checkpoints
from fedprompt_jax.experiment.clients import Clients
from fedprompt_jax.experiment.preemption import Preemption, stopped
from fedprompt_jax.experiment.prefetch import prefetched
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.scores import (
    PromptScorer,
    means,
    score_prompts,
)
from fedprompt_jax.experiment.stage import Stage, repeat
from fedprompt_jax.experiment.train import TrainState
from fedprompt_jax.federated import ledger
from fedprompt_jax.federated.client import dropped_later, mean_later
from fedprompt_jax.federated.later import numbers
from fedprompt_jax.federated.prepared import share_rows
from fedprompt_jax.mesh import fetch
from fedprompt_jax.personalization import Answer, Method, Route, Setup, Steps

_LOG = logging.getLogger(__name__)

FEW_SHOT = 'few-shot'  # label of the bare model with solved examples
_ONE_AT_A_TIME = threading.Lock()
KEPT = 'kept_by_client'  # label of what a training client answers with


@flax.struct.dataclass
class PersonalizationState:
    """The state of stage 2 between two epochs; a checkpoint holds it.

    Attributes:
      clients: the state of the personalization method; `clients.bank` has the
        clients' prompts, leaves [C, ...].
      epoch: int32 scalar, epochs done.
      shared: the global prompt that the clients start from.
      rounds: int32 scalar, rounds of training that `shared` had.
    """

    clients: Any
    epoch: jax.Array
    shared: Any
    rounds: jax.Array


def method(experiment: Experiment) -> Method:
    """The config's personalization method for the held-out clients."""
    config = experiment.config
    module = personalization.get(config.personalization.method)
    clients = len(experiment.data.held_out.clients)
    return module.make(Setup(config, experiment.personal, clients))


def restore(
    experiment: Experiment, checkpoints: Checkpoints
) -> PersonalizationState | None:
    """The state at the latest checkpoint; None before the first."""
    if checkpoints.step is None:
        return None
    return checkpoints.restore(initial(experiment, experiment.params, 0))


def start(
    experiment: Experiment,
    run: RunFolder,
    checkpoints: Checkpoints,
    preemption: Preemption,
    params,
    rounds: int,
    more: Sequence[Answer] = (),
) -> PersonalizationState:
    """Scores the anchors; returns the state before the first epoch, saved.

    Args:
      experiment: its parts.
      run: where scores go.
      checkpoints: of this stage, none yet.
      preemption: whether to stop.
      params: the global prompt.
      rounds: of training that it had.
      more: answers that are scored besides.

    Raises:
      Preempted: stopped before the first epoch; the scores are saved.
    """
    state = initial(experiment, params, rounds)
    score_all(experiment, run, [*anchors(experiment, params), *more], 0)
    score_few_shot(experiment, run)
    score_without_model(experiment, run)
    save(checkpoints, run, state)
    if preemption.asked():
        raise stopped('epoch', 0)
    return state


def personalize(
    experiment: Experiment,
    run: RunFolder,
    checkpoints: Checkpoints,
    preemption: Preemption,
    state: PersonalizationState,
) -> PersonalizationState:
    """Runs the epochs that are left; returns the clients' prompts.

    Args:
      experiment: its parts.
      run: where scores go.
      checkpoints: of this stage.
      preemption: whether to stop after an epoch.
      state: of start or restore.

    Raises:
      Preempted: stopped after an epoch, which is saved.
    """
    c, personal = experiment.config.personalization, method(experiment)

    def after(state: PersonalizationState) -> PersonalizationState:
        epoch = int(state.epoch)
        if epoch % c.every == 0:
            answers = personal.answers(state.clients, state.shared)
            score_all(experiment, run, answers, epoch)
        return state

    first = int(state.epoch)
    state = repeat(
        Stage(
            'epoch',
            'personalization epochs',
            c.epochs,
            experiment.config.checkpoint.every,
            functools.partial(train_epoch, experiment, run, personal),
            after,
            functools.partial(save, checkpoints, run),
        ),
        state,
        first,
        prefetched(
            functools.partial(epoch_batches, experiment),
            range(first, c.epochs),
        ),
        run,
        preemption,
    )
    # Scores of the last epoch alone follow the last checkpoint, so that a
    # longer run can continue from it.
    if c.epochs % c.every:
        answers = personal.answers(state.clients, state.shared)
        score_all(experiment, run, answers, c.epochs)
    if c.epochs:
        answers = personal.last_answers(state.clients, state.shared)
        score_all(experiment, run, answers, c.epochs)
    return state


def initial(
    experiment: Experiment, params, rounds: int
) -> PersonalizationState:
    """The state before the first epoch.

    Args:
      experiment: its parts.
      params: the global prompt.
      rounds: of training that it had.
    """
    clients = method(experiment).init(params)
    return experiment.devices.replicate(
        PersonalizationState(clients, jnp.int32(0), params, jnp.int32(rounds))
    )


def epoch_batches(experiment: Experiment, number: int) -> Steps:
    """The batches of an epoch, from 0, packed and on the devices."""
    held_out, config = experiment.data.held_out, experiment.config
    steps = epoch_steps(
        experiment.data.store,
        held_out.train,
        held_out.clients,
        batch_size=config.personalization.batch_size,
        seed=config.seed,
        epoch=number,
    )
    return [experiment.personal.prepare(step) for step in steps]


def train_epoch(
    experiment: Experiment,
    run: RunFolder,
    personal: Method,
    state: PersonalizationState,
    steps: Steps,
    began: float,
) -> tuple[PersonalizationState, float]:
    """One epoch of all clients, logged; returns the state and the mean loss.

    Args:
      experiment: its parts.
      run: where the line goes.
      personal: the personalization method.
      state: the state before the epoch.
      steps: of epoch_batches.
      began: perf_counter's seconds at its beginning.
    """
    clients, epoch, metrics, lost = _once(personal, state, steps)
    if lost and share_rows(steps):
        alone = [experiment.personal.prepare(step, True) for step in steps]
        clients, epoch, metrics, _ = _once(personal, state, alone)
    run.log(
        stage='personalize',
        epoch=int(epoch),
        **metrics,
        **ledger.compute(experiment.model, steps),
        seconds=time.perf_counter() - began,
    )
    state = dataclasses.replace(state, clients=clients, epoch=epoch)
    return experiment.devices.replicate(state), metrics['loss']


def _once(
    personal: Method, state: PersonalizationState, steps: Steps
) -> tuple[Any, jax.Array, dict[str, Any], bool]:
    """An epoch, read by the host once, at its end.

    Returns:
      The clients' state, the epochs done, the numbers to be logged, and
      whether a client that was finite is no longer.
    """
    clients, local = personal.epoch(state.clients, steps)
    finite, epoch = finite_owners(clients.bank), state.epoch + 1
    metrics = {
        'loss': mean_later(local.losses, finite),
        'client_grad_norm': mean_later(local.grad_norms, finite),
        'clients_dropped': dropped_later(finite),
    }
    was_finite, finite, read, _ = fetch(
        (finite_owners(state.clients.bank), finite, metrics, epoch)
    )
    lost = bool((was_finite & ~finite).any())
    return clients, epoch, numbers(metrics, read), lost


def anchors(experiment: Experiment, params) -> list[Answer]:
    """The answers that are scored before stage 2: bare, initial and global."""
    return [
        Answer('bare', None, alpha=0.0, shared=True, bare=True),
        Answer('initial', experiment.params, alpha=0.0, shared=True),
        Answer('global', params, alpha=0.0, shared=True),
    ]


def kept_by_clients(
    experiment: Experiment,
    run: RunFolder,
    clients: Clients,
    trained: TrainState,
) -> list[Answer]:
    """What training clients answer with after the last round.

    [] where no training client is scored, or where all of them answer with the
    global prompt. A warning says how many of them were in no cohort.

    Args:
      experiment: its parts.
      run: where the warning goes.
      clients: what they keep.
      trained: stage 1 after its last round.
    """
    if experiment.config.data.splits not in splits.OF_TRAINING_CLIENTS:
        return []
    ids = experiment.data.held_out.clients
    prompts = clients.prompts(trained.server, ids)
    if prompts is None:
        return []
    never = clients.never_sampled(ids)
    if never and run.writes:
        warning = (
            f'{never} of the {len(ids)} evaluated clients were in no cohort: '
            f'{KEPT} is what they began with. Raise config.rounds, '
            'config.clients_per_round or config.data.client_size.'
        )
        _LOG.warning(warning)
        run.warn(warning)
    return [Answer(KEPT, prompts, alpha=1.0)]


def score_all(
    experiment: Experiment,
    run: RunFolder,
    answers: Iterable[Answer],
    epoch: int,
) -> None:
    """Scores answers and adds them to the run's records.

    Answers of a router share the work of comparing their prompts.
    """
    comparison = None
    for answer in answers:
        if answer.route is None:
            score(experiment, run, answer, epoch)
            continue
        comparison = comparison or compare(experiment, answer.route)
        scorer = comparison.by(answer.route.rule, answer.route.threshold)
        score_by(scorer, experiment, run, answer, epoch)


def compare(experiment: Experiment, route: Route) -> routing.Comparison:
    """The comparison of clients' prompts with the global one."""
    ends = routing.Ends(
        tuple(experiment.lm.tokenizer.eos_ids),
        experiment.config.evaluation.max_new_tokens,
    )
    return routing.Comparison(
        experiment.evaluator,
        replicate(route.params, len(experiment.data.held_out.names)),
        ends,
        route.queries,
    )


def score(
    experiment: Experiment, run: RunFolder, answer: Answer, epoch: int
) -> None:
    """Scores one answer of all held-out clients, and adds it to the records.

    Args:
      experiment: its parts.
      run: where the scores go.
      answer: the prompts: one, or a bank with leaves [C, ...].
      epoch: epochs of personalization that the prompts had.
    """
    evaluator, prompts = experiment.evaluator, answer.prompts
    if answer.bare:
        evaluator, prompts = evaluator.bare()
        prompts = experiment.devices.replicate(prompts)
    if answer.shared:  # [C, ...] like a bank: one program serves all answers
        prompts = replicate(prompts, len(experiment.data.held_out.clients))
    answer = answer._replace(prompts=prompts)
    score_by(evaluator, experiment, run, answer, epoch)


def score_few_shot(experiment: Experiment, run: RunFolder) -> None:
    """Scores the bare model with solved examples, if that is asked for."""
    evaluator = experiment.few_shot
    if evaluator is None:
        return
    nothing = experiment.devices.replicate(
        replicate(Nothing().init(None), len(experiment.data.held_out.clients))
    )
    answer = Answer(FEW_SHOT, nothing, alpha=0.0, shared=True)
    # Its queries are not those of a bank's other runs: one run at a time.
    with _ONE_AT_A_TIME:
        score_by(evaluator, experiment, run, answer, 0)


def score_without_model(experiment: Experiment, run: RunFolder) -> None:
    """Scores the anchors that need no model; see evaluation/anchors.py.

    They are fitted on the examples on which clients personalize.
    """
    store, held_out = experiment.data.store, experiment.data.held_out
    rouge_l = functools.partial(scoring.rouge_l, store, experiment.lm.tokenizer)
    for label, fit in anchors_lib.ANCHORS.items():
        answers = [fit(store, train, rouge_l) for train in held_out.train]
        scorer = anchors_lib.WithoutModel(store, rouge_l, answers)
        score_by(scorer, experiment, run, Answer(label, None, alpha=0.0), 0)


def score_by(
    evaluator: PromptScorer,
    experiment: Experiment,
    run: RunFolder,
    answer: Answer,
    epoch: int,
) -> None:
    """Scores an answer with an evaluator, and adds it to the records."""
    began, config = time.perf_counter(), experiment.config
    rows, predictions = score_prompts(
        evaluator,
        experiment.data.held_out,
        answer.prompts,
        answer.shared,
        config.loss,
        {
            'run': f'{config.name}-{config.scale}',
            'prompt': answer.label,
            'seed': config.seed,
            'epoch': epoch,
            'alpha': answer.alpha,
            'lambda': config.personalization.l2,
        },
    )
    run.add_scores(rows, predictions)
    run.log(
        stage='score',
        prompt=answer.label,
        epoch=epoch,
        alpha=answer.alpha,
        **means(rows),
        seconds=time.perf_counter() - began,
    )


def save(
    checkpoints: Checkpoints, run: RunFolder, state: PersonalizationState
) -> None:
    """Saves the state, with the sizes of the logs that belong to it."""
    checkpoints.save(int(state.epoch), state, run.notes(), None)
