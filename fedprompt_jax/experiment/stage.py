"""The loop of a stage: step, score, save, stop on request; with a bar."""

from collections.abc import Callable, Iterable
import time
from typing import Any, NamedTuple

from tqdm import tqdm

from fedprompt_jax.experiment.preemption import Preemption, stopped
from fedprompt_jax.experiment.run_folder import RunFolder

State = Any  # whatever the stage carries from step to step


class Stage(NamedTuple):
    """The parts of a stage that the loop repeats.

    Attributes:
      unit: 'round' or 'epoch'.
      title: the title of the progress bar.
      total: the number of steps in the whole stage.
      save_every: steps between two checkpoints.
      step: (state, item, began) -> (state, loss, or None where there is none).
        It logs its own line; `began` is when the wait for the item began, in
        perf_counter's seconds.
      after: (state) -> state. Scores what is due after this step.
      save: (state) -> None. Writes a checkpoint.
    """

    unit: str
    title: str
    total: int
    save_every: int
    step: Callable[[State, Any, float], tuple[State, float | None]]
    after: Callable[[State], State]
    save: Callable[[State], None]


def repeat(
    stage: Stage,
    state: State,
    first: int,
    items: Iterable[Any],
    run: RunFolder,
    preemption: Preemption,
) -> State:
    """Runs the steps that are left; returns the state after the last.

    What is saved does not depend on the number of steps in the whole stage, so
    that a run of more steps can continue from it.

    Args:
      stage: what is repeated.
      state: after `first` steps.
      first: number of steps that are done.
      items: one for each step that is left.
      run: says whether a bar is shown.
      preemption: whether to stop after a step.

    Raises:
      Preempted: stopped after a step, which is saved.
    """
    bar = tqdm(
        items,
        desc=stage.title,
        initial=first,
        total=stage.total,
        disable=not run.shows,
    )
    began = time.perf_counter()
    for number, item in enumerate(bar, first + 1):
        state, loss = stage.step(state, item, began)
        if loss is not None:
            bar.set_postfix(loss=f'{loss:.3f}')
        state = stage.after(state)
        last, stop = number == stage.total, preemption.asked()
        if last or stop or number % stage.save_every == 0:
            stage.save(state)
        if stop:
            raise stopped(stage.unit, number)
        began = time.perf_counter()
    return state
