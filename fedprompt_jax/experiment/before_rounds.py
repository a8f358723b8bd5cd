"""What an algorithm does before its rounds: its stages, one after the other."""

from pathlib import Path
import time
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from fedprompt_jax.experiment import checkpoint
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.experiment.checkpoint import Checkpoints
from fedprompt_jax.experiment.one_round import all_finite
from fedprompt_jax.experiment.preemption import Preemption
from fedprompt_jax.experiment.run_folder import RunFolder
from fedprompt_jax.experiment.stage import Stage, repeat
from fedprompt_jax.federated.algorithm import StageBefore
from fedprompt_jax.federated.later import numbers
from fedprompt_jax.mesh import fetch

FOLDER = 'before-'  # and a number and a name: a stage's checkpoints


@flax.struct.dataclass
class State:
    """The state of a stage between two steps; a checkpoint holds it.

    Attributes:
      inner: what the stage carries.
      server: the server's state when the stage began; () for the first stage,
        which begins with Algorithm.init: runs that differ in their server can
        then take its checkpoint over (see shared_stage.py).
      step: int32 scalar, steps done.
    """

    inner: Any
    server: Any
    step: jax.Array


def run_all(
    experiment: Experiment, run: RunFolder, preemption: Preemption
) -> Any:
    """The server's state after all stages that come before the rounds.

    It starts at the latest stage that has a checkpoint.

    Args:
      experiment: its algorithm says which stages there are.
      run: where lines and checkpoints go.
      preemption: whether to stop after a step.

    Raises:
      Preempted, FloatingPointError: see _run.
    """
    server = experiment.devices.replicate(experiment.algorithm.init())
    stages = list(enumerate(experiment.algorithm.stages))
    folders = {
        number: run.path / 'checkpoints' / folder_name(number, stage)
        for number, stage in stages
    }
    # The latest stage that has begun knows what those before it have made.
    begun = [n for n, folder in folders.items() if checkpoint.folders(folder)]
    for number, stage in stages[max(begun, default=0) :]:
        folder = folders[number]
        state = _run(
            experiment, run, preemption, stage, server, folder, not number
        )
        server = stage.finish(state.server if number else server, state.inner)
        server = experiment.devices.replicate(server)
        _require_finite(all_finite(server), stage, folder)
        if stage.record is not None:
            run.record(f'{stage.name}.json', stage.record(server))
    return server


def folder_name(number: int, stage: StageBefore) -> str:
    """The folder of the checkpoints of a stage, counted from 0."""
    return f'{FOLDER}{number:02}-{stage.name}'


def _run(
    experiment: Experiment,
    run: RunFolder,
    preemption: Preemption,
    stage: StageBefore,
    server: Any,
    folder: Path,
    first_stage: bool,
) -> State:
    """The state of one stage after its last step.

    Raises:
      Preempted: stopped after a step, which is saved.
      FloatingPointError: the state would turn non-finite; the last checkpoint
        is intact.
    """
    config = experiment.config
    checkpoints = Checkpoints(folder, config.checkpoint.keep)
    start = experiment.devices.replicate(
        State(stage.init(server), () if first_stage else server, jnp.int32(0))
    )
    state = checkpoints.restore(start)
    if state is None:
        state = start
    first = int(state.step)

    def step(
        state: State, number: int, began: float
    ) -> tuple[State, float | None]:
        inner, metrics = stage.step(state.inner, number)
        finite, read = fetch((all_finite(inner), metrics))
        _require_finite(finite, stage, folder)
        values = numbers(metrics, read)
        run.log(
            stage=stage.name,
            step=number + 1,
            **values,
            seconds=time.perf_counter() - began,
        )
        state = State(inner, state.server, state.step + 1)
        return experiment.devices.replicate(state), values.get('loss')

    def save(state: State) -> None:
        checkpoints.save(int(state.step), state, run.notes(), None)

    state = repeat(
        Stage(
            f'step of {stage.name}',
            stage.name,
            stage.steps,
            stage.save_every or config.checkpoint.every,
            step,
            lambda state: state,
            save,
        ),
        state,
        first,
        range(first, stage.steps),
        run,
        preemption,
    )
    checkpoints.close()
    return state


def _require_finite(finite: Any, stage: StageBefore, folder: Path) -> None:
    """Raises FloatingPointError if a stage's state is not finite."""
    if not finite:
        raise FloatingPointError(
            f'The stage {stage.name!r} before the rounds would turn '
            f'non-finite; stopped. Its last checkpoint is intact in {folder}. '
            'A smaller learning rate is the usual cure.'
        )
