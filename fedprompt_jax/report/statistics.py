"""The statistics of a trade-off, as tables and sentences of a run.

docs/tradeoff.md has their formulas, and says when each of them misleads.
"""

from collections.abc import Sequence
import math
import textwrap

import numpy as np

from fedprompt_jax.report import trajectory as trajectory_lib
from fedprompt_jax.report.records import Row
from fedprompt_jax.report.trajectory import Trajectory
from fedprompt_jax.tradeoff import bootstrap, clients, frontier
from fedprompt_jax.tradeoff.bootstrap import Interval, Statistic

# Name -> title, factor and digits when it is shown, unit.
SHOWN = {
    'hypervolume': ('hypervolume beyond the bare model', 1, 1, 'squared'),
    'hypervolume_averaged': ('the same with averaged prompts', 1, 1, 'squared'),
    'area': ('area under the trajectory', 1, 1, 'squared'),
    'best_local': ('best local score at no loss of global', 1, 2, ''),
    'best_local_averaged': ('the same with averaged prompts', 1, 2, ''),
    'local_gain': ('local gain after the last epoch', 1, 2, ''),
    'global_gain': ('global gain after the last epoch', 1, 2, ''),
    'hurt_local': ('clients hurt, local', 100, 0, ' %'),
    'hurt_global': ('clients hurt, global', 100, 0, ' %'),
}
# Those that a run prints at its end.
BRIEF = ('hypervolume', 'area', 'best_local', 'hurt_local', 'hurt_global')


def statistics(trajectory: Trajectory) -> dict[str, Interval]:
    """The statistics of a trajectory: keys of SHOWN -> 95 % interval.

    Those that need the bare model, or averaged prompts, are left out where the
    trajectory lacks them.
    """
    path, bare = trajectory.path, trajectory.bare
    averages = trajectory.places('averaged')
    start, end = path[0], path[-1]
    wanted: dict[str, Statistic] = {}
    sets = {'': path} | ({'_averaged': path + averages} if averages else {})
    for suffix, places in sets.items():
        if bare is not None:
            wanted[f'hypervolume{suffix}'] = _hypervolume(places, bare)
        wanted[f'best_local{suffix}'] = _best_local(places, start)
    if bare is not None:
        wanted['area'] = lambda points: frontier.area_under(
            points[:, path], points[:, bare]
        )
    wanted['local_gain'] = lambda points: (
        points[:, end, 0] - points[:, start, 0]
    )
    wanted['global_gain'] = lambda points: (
        points[:, end, 1] - points[:, start, 1]
    )
    scores, seeds = trajectory.scores, trajectory.seeds
    found = bootstrap.intervals(wanted, scores, seeds)
    # A client that is left out of one statistic is left out of all.
    whole = np.isfinite(scores).all((1, 2))
    before, after = (
        np.where(whole[:, None], scores[:, i], math.nan) for i in (start, end)
    )
    for axis, share in clients.hurt(before, after, seeds).items():
        found[f'hurt_{axis}'] = share
    return {name: found[name] for name in SHOWN if name in found}


def front(trajectory: Trajectory) -> list[tuple[str, float]]:
    """The prompts on the Pareto front of the means, and how often they are.

    Returns:
      For each prompt on it its name, and the share of the bootstrap's resamples
      in which it is on the front; NaN for fewer than two clients.
    """
    places = [*trajectory.path, *trajectory.places('averaged')]
    whole = np.isfinite(trajectory.scores).all((1, 2))
    scores, seeds = trajectory.scores[whole], trajectory.seeds[whole]
    if not len(scores):
        return []
    once = bootstrap.weights_of(np.ones((1, len(scores)), np.int64), seeds)
    now = frontier.pareto_front(bootstrap.mean_points(once, scores)[0][places])
    shares = np.full(len(places), math.nan)
    if len(scores) > 1:
        rng = np.random.default_rng(0)
        times = bootstrap.counts(seeds, bootstrap.RESAMPLES, rng)
        points = bootstrap.mean_points(
            bootstrap.weights_of(times, seeds), scores
        )
        shares = frontier.pareto_front(points[:, places]).mean(0)
    return [
        (trajectory.prompts[place].name, float(share))
        for place, there, share in zip(places, now, shares, strict=True)
        if there
    ]


def cells(trajectory: Trajectory) -> list[list[str]]:
    """A header, and a line for each statistic with its interval."""
    lines = [['statistic', 'estimate', '95 % interval']]
    for name, interval in statistics(trajectory).items():
        title, *_ = SHOWN[name]
        lines.append([title, *show(name, interval)])
    return lines


def decile_cells(trajectory: Trajectory) -> list[list[str]]:
    """A header, and percentiles over clients before and after, by axis."""
    whole = np.isfinite(trajectory.scores).all((1, 2))
    path, seeds = trajectory.path, trajectory.seeds[whole]
    before, after = (trajectory.scores[whole, i] for i in (path[0], path[-1]))
    start, end = (clients.deciles(x, seeds) for x in (before, after))
    changes = clients.decile_changes(before, after, seeds)
    lines = [['percentile', 'before', 'after', 'change', '95 % interval']]
    for (axis, percent), change in changes.items():
        lines.append(
            [
                f'{axis}, {percent}th',
                _number(start[axis, percent].estimate, 2),
                _number(end[axis, percent].estimate, 2),
                _number(change.estimate, 2, '+'),
                _span(change, 1, 2, '', '+'),
            ]
        )
    return lines


def notes(trajectory: Trajectory, metric: str) -> list[str]:
    """Sentences under the tables: front, worst clients, what was resampled.

    Args:
      trajectory: of the run.
      metric: the name of the score in words, such as 'ROUGE-L'.
    """
    path = trajectory.path
    before, after = (trajectory.scores[:, i] for i in (path[0], path[-1]))
    members = ', '.join(
        name if math.isnan(share) else f'{name} ({100 * share:.0f} %)'
        for name, share in front(trajectory)
    )
    sentences = [
        'Pareto front of the means, with the share of resamples in which each '
        f'prompt is on it: {members or "no client"}.'
    ]
    losses = [
        f'{axis} {name_of(trajectory, place)} ({change:+.2f})'
        for axis, (place, change) in clients.worst(before, after).items()
        if place >= 0
    ]
    if losses:
        sentences.append(
            f'Worst client by change in {metric}: {"; ".join(losses)}.'
        )
    return [*sentences, resampled(trajectory)]


def resampled(trajectory: Trajectory) -> str:
    """A sentence on what the intervals are over."""
    whole = np.isfinite(trajectory.scores).all((1, 2))
    seeds, count = len(np.unique(trajectory.seeds[whole])), int(whole.sum())
    words = f'{count} client{"" if count == 1 else "s"}'
    if seeds > 1:
        over = f'{seeds} seeds and over {words} within them'
    else:
        over = f'{words} of one seed, not over seeds'
    dropped = len(whole) - count
    left = (
        f' {dropped} with a score that is not finite '
        f'{"is" if dropped == 1 else "are"} left out.'
        if dropped
        else ''
    )
    return f'95 % bootstrap intervals over {over}.{left}'


def text(rows: Sequence[Row], metric: str) -> str:
    """The statistics that a run prints at its end; '' where it has none.

    Args:
      rows: of read_tradeoff.
      metric: the score.
    """
    trajectory = trajectory_lib.read(rows, metric)
    if trajectory is None:
        return ''
    found = statistics(trajectory)
    lines = ['trade-off (docs/tradeoff.md explains each number)']
    for name in BRIEF:
        if name in found:
            estimate, span = show(name, found[name])
            lines.append(f'{SHOWN[name][0]:<38}{estimate:>9}  {span}'.rstrip())
    return '\n'.join([*lines, textwrap.fill(resampled(trajectory), 80)])


def show(name: str, interval: Interval) -> tuple[str, str]:
    """A statistic's estimate and its interval as texts; a dash for none.

    Args:
      name: a key of SHOWN.
      interval: of it.
    """
    _, factor, digits, unit = SHOWN[name]
    unit = '' if unit == 'squared' else unit
    sign = '+' if name.endswith('gain') else ''
    estimate = _number(factor * interval.estimate, digits, sign)
    missing = math.isnan(interval.estimate)
    return (
        estimate if missing else estimate + unit,
        _span(interval, factor, digits, unit, sign),
    )


def name_of(trajectory: Trajectory, place: int) -> str:
    """A client in words: its name, or its number; with several runs both."""
    run, _, client = trajectory.clients[place]
    name = trajectory.names[place] or f'client {client}'
    several = len({run for run, _, _ in trajectory.clients}) > 1
    return f'{name} of {run}' if several else name


def _span(
    interval: Interval, factor: float, digits: int, unit: str, sign: str = ''
) -> str:
    if math.isnan(interval.low):
        return '–'
    low, high = (
        _number(factor * x, digits, sign) for x in (interval.low, interval.high)
    )
    return f'{low} to {high}{unit}'


def _number(x: float, digits: int, sign: str = '') -> str:
    return '–' if math.isnan(x) else f'{x:{sign}.{digits}f}'


def _hypervolume(places: Sequence[int], bare: int) -> Statistic:
    return lambda points: frontier.hypervolume(
        points[:, places], points[:, bare]
    )


def _best_local(places: Sequence[int], start: int) -> Statistic:
    return lambda points: frontier.best_local(
        points[:, places], points[:, start, 1]
    )
