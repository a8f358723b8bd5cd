"""Claims of a paper, judged by the runs of its studies.

A study's file may have claims(results), which yields a Claim for each
comparison that its runs allow. Each has a statistic that is above 0 where the
claim is true, with a bootstrap interval over the clients within seeds; the
interval decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import math
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.report import genie
from fedprompt_jax.report import trajectory as trajectory_lib
from fedprompt_jax.report.records import Row
from fedprompt_jax.report.run import leading_metric
from fedprompt_jax.report.trajectory import Trajectory
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.tradeoff import bootstrap, clients, frontier
from fedprompt_jax.tradeoff.bootstrap import Interval

REPRODUCED, CONTRADICTED = 'reproduced', 'contradicted'
UNDECIDED, NO_RUNS = 'undecided', 'no runs'
NO_SCORES = 'no scores'  # all clients of a group were lost
MANY = 5  # seeds from which on a verdict is not of these seeds alone
NOTHING = Interval(math.nan, math.nan, math.nan, 0, 0)
NOTES = (
    'Each statistic is above 0 where the claim is true; scores are x 100, and '
    'areas are of squared scores. "Reproduced": the whole 95 % interval is '
    'above 0; '
    '"contradicted": below; else "undecided". Intervals are bootstrap '
    'percentiles over the clients within seeds, and over seeds where there are '
    'several; the clients of all runs of a comparison are drawn together.',
    'A claim that something does not help or does not fall is reproduced '
    'already where the interval is above the margin that the statistic names.',
    'Such intervals are too narrow for few seeds: where seeds differ more than '
    'clients, those of two seeds contain the truth in about half of the cases, '
    'and those of one seed are for that seed alone.',
    'A claim as a whole is contradicted if one of its comparisons is, and '
    'reproduced if all of them are. No interval is corrected for the number of '
    'comparisons: of forty without any effect one comes out as reproduced and '
    'one as contradicted, even where intervals are as wide as they should be.',
)

# Of mean points [B, T, 2], those of one trajectory.
Value = Callable[[np.ndarray], np.ndarray]


class Claim(NamedTuple):
    """A comparison that a paper's claim is about.

    Attributes:
      number: of the claim, such as '3a'.
      text: what the paper says, in a few words.
      where: the part of it that is compared, such as 'high heterogeneity'.
      statistic: what is computed, in words; above 0 it speaks for the claim.
      interval: of the statistic.
      margin: how far below 0 the statistic may be for the claim to hold; above
        0 for a claim that something does not change.
    """

    number: str
    text: str
    where: str
    statistic: str
    interval: Interval
    margin: float = 0.0

    @property
    def verdict(self) -> str:
        """REPRODUCED, CONTRADICTED, UNDECIDED, NO_RUNS or NO_SCORES."""
        return verdict(self.interval, self.margin)


class Term(NamedTuple):
    """A part of a sum: a weight times a number of one group of runs.

    Attributes:
      weight: the factor.
      trajectory: of the runs; None where no run is complete.
      value: makes the function of its mean points from the trajectory.
    """

    weight: float
    trajectory: Trajectory | None
    value: Callable[[Trajectory], Value]


def verdict(interval: Interval, margin: float = 0.0) -> str:
    """What an interval says of a claim that its statistic is above -margin."""
    if not interval.clients:
        return NO_SCORES if interval.dropped else NO_RUNS
    if interval.low > -margin:
        return REPRODUCED
    return CONTRADICTED if interval.high < -margin else UNDECIDED


def scope(seeds: int) -> str:
    """Whose verdict it is: of a few seeds, whose intervals are too narrow."""
    if not 0 < seeds < MANY:
        return ''
    return f' ({seeds} seed{"s" if seeds > 1 else ""})'


def of_all(verdicts: Iterable[str]) -> str:
    """The verdict of a claim from those of its comparisons."""
    found = set(verdicts)
    if CONTRADICTED in found:
        return CONTRADICTED
    if found == {REPRODUCED}:
        return REPRODUCED
    return NO_RUNS if found <= {NO_RUNS, NO_SCORES} else UNDECIDED


def groups(
    results: Sequence[Result],
    key: Callable[[dict[str, Any]], Any],
    others: Sequence[str] = (),
) -> dict[Any, Trajectory | None]:
    """The trajectory of each group of runs, with averaged prompts.

    Args:
      results: the runs of a study.
      key: overrides of a run -> its group, such as an algorithm and a level.
      others: labels of more prompts, such as 'few-shot' or genie.LABEL.

    Returns:
      None for a group that has no complete run.
    """
    complete = [r.run for r in results if r.run is not None]
    metric = leading_metric(complete) if complete else ''
    rows: dict[Any, list[Row]] = {}
    for result in results:
        members = rows.setdefault(key(result.overrides), [])
        if (run := result.run) is not None:
            found = run.rows
            if genie.LABEL in others:
                found = [*found, *genie.rows(run.folder, found, metric)]
            members += [row | {'run': run.name} for row in found]
    return {
        name: trajectory_lib.read(members, metric, True, others)
        for name, members in rows.items()
    }


def contrast(terms: Sequence[Term]) -> Interval:
    """A weighted sum of numbers of several groups of runs, with its interval.

    It is over the clients, by seed and number, that all groups share; each
    resample has the same clients in all of them. NOTHING where a group has no
    trajectory, or where they share no client.
    """
    known = [t.trajectory for t in terms if t.trajectory is not None]
    if len(known) < len(terms):
        return NOTHING
    try:
        values = [t.value(t.trajectory) for t in terms if t.trajectory]
    except LookupError:  # a prompt that these runs did not score
        return NOTHING
    places = [_places(trajectory) for trajectory in known]
    shared = [c for c in places[0] if all(c in other for other in places)]
    if not shared:
        return NOTHING
    blocks = [
        trajectory.scores[[place[c] for c in shared]]
        for trajectory, place in zip(known, places, strict=True)
    ]
    ends = np.cumsum([block.shape[1] for block in blocks])[:-1]

    def statistic(points: np.ndarray) -> np.ndarray:
        parts = np.split(points, ends, axis=1)
        weighted = [
            term.weight * value(part)
            for term, value, part in zip(terms, values, parts, strict=True)
        ]
        return np.sum(weighted, axis=0)

    seeds = np.array([seed for seed, _ in shared])
    return bootstrap.interval(statistic, np.concatenate(blocks, 1), seeds)


def difference(
    better: Trajectory | None,
    worse: Trajectory | None,
    value: Callable[[Trajectory], Value],
) -> Interval:
    """What one group of runs has more than another of a number."""
    return contrast([Term(1.0, better, value), Term(-1.0, worse, value)])


def larger(
    number: str,
    text: str,
    where: str,
    better: Trajectory | None,
    worse: Trajectory | None,
) -> Claim:
    """The claim that one group of runs has the larger hypervolume."""
    found = difference(better, worse, hypervolume)
    return Claim(number, text, where, 'difference in hypervolume', found)


def mean_difference(
    pairs: Sequence[tuple[Trajectory | None, Trajectory | None]],
    value: Callable[[Trajectory], Value],
) -> Interval:
    """The mean of `difference` over pairs, such as those of three levels."""
    share = 1 / len(pairs)
    return contrast(
        [
            term
            for better, worse in pairs
            for term in (Term(share, better, value), Term(-share, worse, value))
        ]
    )


def decile_change(
    trajectory: Trajectory | None, axis: str, percent: int, sign: int = 1
) -> Interval:
    """The change of a percentile over clients by personalization.

    Args:
      trajectory: of a group of runs.
      axis: 'local' or 'global'.
      percent: of the clients that score less, one of clients.DECILES.
      sign: -1 for before - after.
    """
    if trajectory is None:
        return NOTHING
    path = trajectory.path
    before, after = (trajectory.scores[:, i] for i in (path[0], path[-1]))
    if sign < 0:
        before, after = after, before
    found = clients.decile_changes(before, after, trajectory.seeds)
    return found.get((axis, percent), NOTHING)


def hypervolume(trajectory: Trajectory) -> Value:
    """The area that the global prompt and its epochs span beyond no prompt.

    Raises:
      LookupError: the bare model was not scored.
    """
    return _area(trajectory, trajectory.path)


def hypervolume_of_averages(trajectory: Trajectory) -> Value:
    """The same of the global, the averaged and the last personalized prompts.

    There are as many averages, evenly spread, as there are epochs before the
    last one: a set of more prompts has the larger hypervolume by itself.

    Raises:
      LookupError: the bare model was not scored, or there are no epochs before
        the last one, or fewer averages than these.
    """
    averages, path = trajectory.places('averaged'), trajectory.path
    between = len(path) - 2
    if not 0 < between <= len(averages):
        raise LookupError('averaged')
    spread = (np.arange(between) + 0.5) * len(averages) / between
    some = [averages[int(place)] for place in spread]
    return _area(trajectory, [path[0], *some, path[-1]])


def last_mean(trajectory: Trajectory) -> Value:
    """The mean of the local and the global score after the last epoch."""
    last = trajectory.path[-1]
    return lambda points: points[:, last].mean(-1)


def last_global(trajectory: Trajectory) -> Value:
    """The global score after the last epoch."""
    last = trajectory.path[-1]
    return lambda points: points[:, last, 1]


def mean_of(label: str) -> Callable[[Trajectory], Value]:
    """The mean of the local and the global score of a prompt without epochs.

    The function raises LookupError where it was not scored.
    """

    def value(trajectory: Trajectory) -> Value:
        (place,) = trajectory.places(label) or (None,)
        if place is None:
            raise LookupError(label)
        return lambda points: points[:, place].mean(-1)

    return value


def best_averaged(trajectory: Trajectory) -> Value:
    """The highest mean of both scores of the averaged prompts.

    Raises:
      LookupError: no averaged prompt was scored.
    """
    places = trajectory.places('averaged')
    if not places:
        raise LookupError('averaged')
    return lambda points: points[:, places].mean(-1).max(-1)


def cells(claims: Sequence[Claim]) -> list[list[str]]:
    """A header, and a line for each comparison."""
    lines = [
        ['claim', 'of the paper', 'compared', 'statistic', 'estimate',
         '95 % interval', 'seeds', 'clients', 'dropped', 'verdict'],
    ]  # fmt: skip
    for claim in claims:
        x = claim.interval
        estimate = '–' if math.isnan(x.estimate) else f'{x.estimate:+.2f}'
        span = '–' if math.isnan(x.low) else f'{x.low:+.2f} to {x.high:+.2f}'
        lines.append(
            [claim.number, claim.text, claim.where, claim.statistic, estimate,
             span, f'{x.seeds}', f'{x.clients}', f'{x.dropped}',
             claim.verdict + scope(x.seeds)]
        )  # fmt: skip
    return lines


def summary(claims: Sequence[Claim]) -> list[list[str]]:
    """A header, and a line for each claim of the paper."""
    lines = [['claim', 'of the paper', 'comparisons', 'verdict']]
    for number, members in _by_number(claims).items():
        counts = {
            word: sum(m.verdict == word for m in members)
            for word in (
                REPRODUCED,
                CONTRADICTED,
                UNDECIDED,
                NO_RUNS,
                NO_SCORES,
            )
        }
        told = ', '.join(f'{n} {word}' for word, n in counts.items() if n)
        verdicts = [m.verdict for m in members]
        judged = [m.interval for m in members if m.interval.clients]
        seeds = min((x.seeds for x in judged), default=0)
        whole = of_all(verdicts) + scope(seeds)
        lines.append([number, members[0].text, told, whole])
    return lines


def _by_number(claims: Sequence[Claim]) -> Mapping[str, list[Claim]]:
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.number, []).append(claim)
    return dict(sorted(found.items()))


def _area(trajectory: Trajectory, places: Sequence[int]) -> Value:
    bare = trajectory.bare
    if bare is None:
        raise LookupError('bare')
    chosen = list(places)
    return lambda points: frontier.hypervolume(
        points[:, chosen], points[:, bare]
    )


def _places(trajectory: Trajectory) -> dict[tuple[int, int], int]:
    """(seed, client) -> its place; of several runs of a seed the first."""
    places: dict[tuple[int, int], int] = {}
    for place, (_, seed, client) in enumerate(trajectory.clients):
        places.setdefault((seed, client), place)
    return places
