"""Stage 2: every held-out client trains the global prompt on its own data."""

import time
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from tqdm import tqdm

from fedprompt_jax.bank.owners import finite_owners, mean_of_finite, replicate
from fedprompt_jax.data.sampling import epoch_steps
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.checkpoint import Checkpoints
from fedprompt_jax.experiment.preemption import Preemption, stopped
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.scores import score_prompts
from fedprompt_jax.federated import ledger, optimizers


@flax.struct.dataclass
class Personal:
    """What stage 2 carries from epoch to epoch, and a checkpoint holds.

    Attributes:
      bank: the clients' prompts, leaves [C, ...].
      opt_state: each client's optimizer state, leaves [C, ...].
      epoch: int32 scalar, epochs done.
      shared: the global prompt that they start from.
      rounds: int32 scalar, rounds that it had.
    """

    bank: Any
    opt_state: Any
    epoch: jax.Array
    shared: Any
    rounds: jax.Array


def restore(
    experiment: Experiment, checkpoints: Checkpoints
) -> Personal | None:
    """The state at the latest checkpoint; None before the first."""
    if checkpoints.step is None:
        return None
    return checkpoints.restore(_initial(experiment, experiment.params, 0))


def start(
    experiment: Experiment,
    run: RunFolder,
    checkpoints: Checkpoints,
    preemption: Preemption,
    params,
    rounds: int,
) -> Personal:
    """Scores the anchors; returns the state before the first epoch, saved.

    Args:
      experiment: its parts.
      run: where scores go.
      checkpoints: of this stage, none yet.
      preemption: whether to stop.
      params: the global prompt.
      rounds: that it had.

    Raises:
      Preempted: stopped before the first epoch; the scores are saved.
    """
    state = _initial(experiment, params, rounds)
    score_anchors(experiment, run, params)
    _save(checkpoints, run, state)
    if preemption.asked():
        raise stopped('epoch', 0)
    return state


def personalize(
    experiment: Experiment,
    run: RunFolder,
    checkpoints: Checkpoints,
    preemption: Preemption,
    state: Personal,
) -> Personal:
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
    c = experiment.config.personalization
    tx = _optimizer(experiment, state.shared)
    first = int(state.epoch)
    bar = tqdm(
        range(first, c.epochs),
        desc='personalization epochs',
        initial=first,
        total=c.epochs,
        disable=not run.shows,
    )
    for number in bar:
        state, loss = train_epoch(experiment, run, tx, state)
        bar.set_postfix(loss=f'{loss:.3f}')
        # What is saved does not depend on the number of epochs, so that a run
        # of more can go on from it: scores at the end come after it.
        if (number + 1) % c.every == 0:
            score_personal(experiment, run, state.bank, number + 1)
        last, stop = number + 1 == c.epochs, preemption.asked()
        every = experiment.config.checkpoint.every
        if last or stop or (number + 1) % every == 0:
            _save(checkpoints, run, state)
        if stop:
            raise stopped('epoch', number + 1)
    if c.epochs % c.every:
        score_personal(experiment, run, state.bank, c.epochs)
    if c.epochs:
        score_averages(experiment, run, state.shared, state.bank)
    return state


def _optimizer(experiment: Experiment, shared) -> optax.GradientTransformation:
    c = experiment.config.personalization
    return optax.chain(
        optimizers.pull_toward(shared, c.l2) if c.l2 else optax.identity(),
        optimizers.make(c.optimizer, c.learning_rate),
    )


def _initial(experiment: Experiment, shared, rounds: int) -> Personal:
    bank = replicate(shared, len(experiment.data.held_out.clients))
    opt_state = jax.vmap(_optimizer(experiment, shared).init)(bank)
    return experiment.devices.replicate(
        Personal(bank, opt_state, jnp.int32(0), shared, jnp.int32(rounds))
    )


def train_epoch(
    experiment: Experiment, run: RunFolder, tx, state: Personal
) -> tuple[Personal, float]:
    """One epoch of all clients at once, and its mean loss."""
    began = time.perf_counter()
    held_out, config = experiment.data.held_out, experiment.config
    steps = list(
        epoch_steps(
            experiment.data.store,
            held_out.train,
            held_out.clients,
            batch_size=config.personalization.batch_size,
            seed=config.seed,
            epoch=int(state.epoch),
        )
    )
    local = experiment.simulation.local_train(
        tx, state.bank, state.opt_state, steps
    )
    finite = finite_owners(local.bank)
    loss = mean_of_finite(local.losses, finite)
    run.log(
        stage='personalize',
        epoch=int(state.epoch) + 1,
        loss=loss,
        client_grad_norm=mean_of_finite(local.grad_norms, finite),
        clients_dropped=int((~finite).sum()),
        **ledger.compute(experiment.model, steps),
        seconds=time.perf_counter() - began,
    )
    state = Personal(
        local.bank, local.opt_state, state.epoch + 1, state.shared, state.rounds
    )
    return experiment.devices.replicate(state), loss


def score_anchors(experiment: Experiment, run: RunFolder, params) -> None:
    """Scores bare model, initial and global prompt: one prompt for all."""
    bare, nothing = experiment.evaluator.bare()
    nothing = experiment.devices.replicate(nothing)
    _score(experiment, run, nothing, 'bare', 0, 0.0, True, bare)
    for prompt, tree in (('initial', experiment.params), ('global', params)):
        _score(experiment, run, tree, prompt, 0, 0.0, True)


def score_personal(
    experiment: Experiment, run: RunFolder, bank, epoch: int
) -> None:
    """Scores each client's own prompt."""
    _score(experiment, run, bank, 'personalized', epoch, 1.0, False)


def score_averages(
    experiment: Experiment, run: RunFolder, params, bank
) -> None:
    """Scores alpha * personalized + (1 - alpha) * global (Profit, obs. 4).

    alpha = 0 and 1 are the global and the personalized prompt, whose scores
    are there already.
    """
    c = experiment.config.personalization
    for alpha in c.alphas:
        if alpha in (0, 1):
            continue
        mixed = mix(alpha, bank, params)
        _score(experiment, run, mixed, 'averaged', c.epochs, alpha, False)


def mix(alpha: float, personal, shared):
    """alpha * personal + (1 - alpha) * shared, for each owner of a bank.

    Args:
      alpha: between 0 and 1.
      personal: leaves [C, ...].
      shared: params of one owner.
    """
    return jax.tree.map(
        lambda p, g: alpha * p + (1 - alpha) * g, personal, shared
    )


def _score(
    experiment, run, trained, prompt, epoch, alpha, shared, evaluator=None
) -> None:
    """Scores a bank, or one tree that all clients share."""
    began = time.perf_counter()
    config, held_out = experiment.config, experiment.data.held_out
    if shared:  # as many copies as clients: one program serves all
        trained = replicate(trained, len(held_out.clients))
    rows, predictions = score_prompts(
        evaluator or experiment.evaluator,
        held_out,
        trained,
        shared,
        config.loss,
        {
            'run': f'{config.name}-{config.scale}',
            'prompt': prompt,
            'seed': config.seed,
            'epoch': epoch,
            'alpha': alpha,
            'lambda': config.personalization.l2,
        },
    )
    run.add_scores(rows, predictions)
    run.log(
        stage='score',
        prompt=prompt,
        epoch=epoch,
        alpha=alpha,
        seconds=time.perf_counter() - began,
    )


def _save(checkpoints: Checkpoints, run: RunFolder, state: Personal) -> None:
    checkpoints.save(int(state.epoch), state, run.notes(), None)
