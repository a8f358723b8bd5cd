"""Laws of a stage's loop: what it carries, scores, saves and shows."""

import itertools
import types

import pytest

from fedprompt_jax.experiment import stage as stage_lib
from fedprompt_jax.experiment.preemption import Preempted
from tests import recorders

TOTAL, EVERY = 5, 2


class Recorded:
    """A stage whose state is the list of what was done.

    Attributes:
      saved: the state at each save.
      began: of each step, as the loop says.
    """

    def __init__(self, first: int = 0, shows: bool = False) -> None:
        self.first, self.shows = first, shows
        self.saved: list[list[str]] = []
        self.began: list[float] = []

    def step(self, state, item, began):
        self.began.append(began)
        return [*state, f'step {item}'], 0.5

    def after(self, state):
        return [*state, f'score {len(state) // 2 + 1}']

    def repeat(self, stop: int = 0) -> list[str]:
        """Runs the steps that are left; asked to stop in step `stop`."""
        done = itertools.count(self.first + 1)
        run = recorders.Run()
        run.shows = self.shows
        return stage_lib.repeat(
            stage_lib.Stage(
                'round',
                'rounds',
                TOTAL,
                EVERY,
                self.step,
                self.after,
                self.saved.append,
            ),
            all_of(self.first),
            self.first,
            range(self.first + 1, TOTAL + 1),
            run,
            types.SimpleNamespace(asked=lambda: next(done) == stop),
        )


def all_of(steps: int) -> list[str]:
    """The state after so many steps: each was done, and then scored."""
    return [
        f'{what} {number}'
        for number in range(1, steps + 1)
        for what in ('step', 'score')
    ]


@pytest.mark.parametrize('first', [0, 3, TOTAL])
def test_a_state_goes_from_step_to_step(first):
    assert Recorded(first).repeat() == all_of(TOTAL)


def test_a_checkpoint_has_the_scores_of_its_step():
    stage = Recorded()
    stage.repeat()
    assert stage.saved == [all_of(2), all_of(4), all_of(TOTAL)]


@pytest.mark.parametrize('first', [1, 2, 3, 4])
def test_a_resumed_stage_saves_at_the_same_steps(first):
    whole, resumed = Recorded(), Recorded(first)
    whole.repeat()
    resumed.repeat()
    later = [state for state in whole.saved if len(state) > 2 * first]
    assert resumed.saved == later


@pytest.mark.parametrize('stop', [1, 2, 3, TOTAL])
@pytest.mark.parametrize('first', [0, 2])
def test_it_stops_after_the_step_in_which_it_is_asked(first, stop):
    stage = Recorded(first)
    if stop <= first:
        assert stage.repeat(stop) == all_of(TOTAL)  # too late: it is done
        return
    with pytest.raises(Preempted, match=f'after round {stop}, which is saved'):
        stage.repeat(stop)
    assert len(stage.began) == stop - first
    assert stage.saved[-1] == all_of(stop)


def test_a_step_is_timed_from_the_end_of_the_one_before(monkeypatch):
    """So that it counts the wait for what the step is made of."""
    clock = itertools.count()
    now = types.SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr(stage_lib, 'time', now)
    stage = Recorded()
    stage.repeat()
    assert stage.began == list(range(TOTAL))


def test_the_bar_of_a_resumed_stage_ends_at_its_total(capsys):
    Recorded(first=3, shows=True).repeat()
    bar = capsys.readouterr().err
    assert f'{TOTAL}/{TOTAL}' in bar
    assert f'0/{TOTAL}' not in bar


def test_a_process_that_shows_nothing_has_no_bar(capsys):
    Recorded().repeat()
    assert not capsys.readouterr().err
