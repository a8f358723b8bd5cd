"""Settings chosen on validation clients, and scored on test clients.

A candidate is a setting of stage 2 (a penalty, a learning rate, ...) and a
prompt that its runs score: after an epoch, or averaged with some alpha. The
best of many candidates on the clients that report its score is too good: each
score has an error, and the largest error wins. So `choose` gets the validation
clients' scores alone, and test clients say what its choice is worth. What
another choice would have had on the test clients is the oracle, and the
difference between both is the gap.
"""

from collections.abc import Callable, Mapping, Sequence
import math
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.report import trajectory as trajectory_lib
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.report.trajectory import GLOBAL, Prompt, Trajectory
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.tradeoff import bootstrap
from fedprompt_jax.tradeoff.bootstrap import Interval
from fedprompt_jax.tradeoff.frontier import ROUNDING

Overrides = dict[str, Any]
Allowed = Callable[[str, Prompt], bool]  # of a setting and a prompt
SPLIT = 'personalization.split'
CRITERIA = {
    'local': 'highest local score',
    'mean': 'highest mean of local and global score',
    'no_loss': 'highest local score, global not below the global prompt',
}


class Choice(NamedTuple):
    """A candidate, and the score by which it was chosen.

    Attributes:
      setting: the name of the runs' setting.
      prompt: the prompt of these runs.
      score: the criterion's value for the clients that chose.
    """

    setting: str
    prompt: Prompt
    score: float

    @property
    def name(self) -> str:
        """The candidate in words; a global prompt has no setting."""
        if self.prompt == GLOBAL:
            return self.prompt.name
        return f'{self.setting}, {self.prompt.name}'


class Judgement(NamedTuple):
    """What a choice is worth on test clients; scores are x 100.

    Attributes:
      local: the local score.
      common: the global score.
      change: the global score minus that of the global prompt, paired.
      gap: the oracle's value of the criterion minus that of the choice, paired.
    """

    local: Interval
    common: Interval
    change: Interval
    gap: Interval


def _everything(setting: str, prompt: Prompt) -> bool:
    del setting, prompt
    return True


def choose(
    validation: Mapping[str, Trajectory],
    criterion: str,
    allowed: Allowed = _everything,
) -> Choice | None:
    """The best candidate by a criterion.

    The global prompt, which no client trained, is always a candidate. One with
    a client whose score is not finite is none: a mean of the others is no
    comparison. Of equal ones the first is chosen.

    Args:
      validation: name of a setting -> scores of validation clients, see
        report/trajectory.py; runs of several seeds count alike.
      criterion: a key of CRITERIA.
      allowed: which candidates there are.

    Returns:
      None where no candidate has a score.

    Raises:
      ValueError: there is no such criterion.
    """
    if criterion not in CRITERIA:
        raise ValueError(
            f'criterion={criterion!r} must be one of {", ".join(CRITERIA)}.'
        )
    best: Choice | None = None
    for setting, trajectory in validation.items():
        points = _means(trajectory)
        start = trajectory.prompts.index(GLOBAL)
        for prompt, (local, common) in zip(
            trajectory.prompts, points, strict=True
        ):
            if prompt.label == 'bare' or not (
                prompt == GLOBAL or allowed(setting, prompt)
            ):
                continue
            kept = common >= points[start, 1] - ROUNDING
            if not np.isfinite(local + common) or (
                criterion == 'no_loss' and not kept
            ):
                continue
            score = float(_value(criterion, local, common))
            if best is None or score > best.score:
                best = Choice(setting, prompt, score)
    return best


def judge(
    choice: Choice,
    oracle: Choice,
    test: Mapping[str, Trajectory],
    criterion: str,
) -> Judgement | None:
    """What a choice is worth on test clients, beside the oracle's.

    Args:
      choice: of the validation clients.
      oracle: of the test clients.
      test: name of a setting -> scores of test clients.
      criterion: a key of CRITERIA.

    Returns:
      None where the choice has no score on test clients.
    """
    trajectory = test.get(choice.setting)
    if trajectory is None or choice.prompt not in trajectory.prompts:
        return None
    place = trajectory.prompts.index(choice.prompt)
    start = trajectory.prompts.index(GLOBAL)
    found = bootstrap.intervals(
        {
            'local': lambda points: points[:, 0, 0],
            'common': lambda points: points[:, 0, 1],
            'change': lambda points: points[:, 0, 1] - points[:, 1, 1],
        },
        trajectory.scores[:, [place, start]],
        trajectory.seeds,
    )
    other = test[oracle.setting]
    theirs, ours = trajectory_lib.paired(other, trajectory)
    best = other.prompts.index(oracle.prompt)
    gap = bootstrap.difference(
        lambda points: _value(criterion, points[:, 0, 0], points[:, 0, 1]),
        other.scores[theirs][:, [best]],
        trajectory.scores[ours][:, [place]],
        trajectory.seeds[ours],
    )
    return Judgement(found['local'], found['common'], found['change'], gap)


def table(
    results: Sequence[Result],
    titles: Sequence[str],
    group: Callable[[Overrides], tuple[str, ...]],
    setting: Callable[[Overrides], str],
    families: Mapping[str, Allowed] = MappingProxyType({'all': _everything}),
    criteria: Sequence[str] = tuple(CRITERIA),
) -> list[list[str]]:
    """A header, and a line for each group of runs, family and criterion.

    Args:
      results: the runs, of validation and of test clients alike.
      titles: of the columns that name a group.
      group: overrides of a run -> the names of its group.
      setting: overrides of a run -> the name of its setting; runs of one name
        and split differ in the seed.
      families: name -> which candidates it has.
      criteria: keys of CRITERIA.

    Returns:
      The cells; dashes where runs are missing.
    """
    metric = leading_metric([r.run for r in results if r.run is not None])
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(group(result.overrides), []).append(result)
    lines = [
        [
            *titles, 'candidates', 'criterion', 'chosen', 'valid. score',
            'test local', 'test global', 'global change', 'oracle',
            'oracle score', 'gap', 'runs',
        ]
    ]  # fmt: skip
    for names, members in groups.items():
        validation, test = (
            _trajectories(members, split, setting, metric)
            for split in ('validation', 'test')
        )
        validation = _comparable(validation)
        # What could not be chosen is no oracle either.
        test = {k: t for k, t in _comparable(test).items() if k in validation}
        done = sum(r.run is not None for r in members)
        for family, allowed in families.items():
            for criterion in criteria:
                chosen = choose(validation, criterion, allowed)
                oracle = choose(test, criterion, allowed)
                cells = _cells(chosen, oracle, test, criterion)
                count = f'{done}/{len(members)}'
                lines.append([*names, family, criterion, *cells, count])
    return lines


def _trajectories(
    results: Sequence[Result],
    split: str,
    setting: Callable[[Overrides], str],
    metric: str,
) -> dict[str, Trajectory]:
    """Name of a setting -> scores of the split's clients, over all seeds."""
    runs: dict[str, list[Run]] = {}
    for r in results:
        if r.run is not None and r.overrides.get(SPLIT, 'test') == split:
            runs.setdefault(setting(r.overrides), []).append(r.run)
    found = {
        name: trajectory_lib.of_runs(some, metric, averaged=True)
        for name, some in runs.items()
    }
    return {name: t for name, t in found.items() if t is not None}


def _comparable(settings: Mapping[str, Trajectory]) -> dict[str, Trajectory]:
    """The settings that have runs of all seeds that any of them has.

    A setting without the run of a hard seed would win by that alone.
    """
    seeds = {name: set(t.seeds.tolist()) for name, t in settings.items()}
    every = set().union(*seeds.values())
    return {name: t for name, t in settings.items() if seeds[name] == every}


def _means(trajectory: Trajectory) -> np.ndarray:
    """f64 [T, 2]: means over clients, then seeds; NaN where any client's is."""
    once = np.ones((1, len(trajectory.seeds)), np.int64)
    weights = bootstrap.weights_of(once, trajectory.seeds)
    return bootstrap.mean_points(weights, trajectory.scores)[0]


def _value(criterion: str, local: Any, common: Any) -> Any:
    """What the criterion has the most of, of a local and a global score."""
    return (local + common) / 2 if criterion == 'mean' else local


def _cells(
    chosen: Choice | None,
    oracle: Choice | None,
    test: Mapping[str, Trajectory],
    criterion: str,
) -> list[str]:
    """From the chosen setting to the gap, as text."""
    cells = ['–'] * 8
    if chosen is not None:
        cells[:2] = [chosen.name, f'{chosen.score:.2f}']
    if oracle is not None:
        cells[5:7] = [oracle.name, f'{oracle.score:.2f}']
    if chosen is not None and oracle is not None:
        found = judge(chosen, oracle, test, criterion)
        if found is not None:
            cells[2:4] = [_show(found.local), _show(found.common)]
            cells[4] = _show(found.change, '+')
            cells[7] = _show(found.gap, '+')
    return cells


def _show(interval: Interval, sign: str = '') -> str:
    """'estimate [low, high]'; a dash where there is none."""
    if math.isnan(interval.estimate):
        return '–'
    text = f'{interval.estimate:{sign}.2f}'
    if math.isnan(interval.low):
        return text
    return f'{text} [{interval.low:{sign}.2f}, {interval.high:{sign}.2f}]'
