"""Methods of training beside each other: both views, and what they cost.

For runs with the stage 'views' (evaluation.views_every), as FedPepTAO's studies
have it: a line for each task and method, over seeds.
"""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.report import canvas, views
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import tuning
from fedprompt_jax.study.outputs import Result

Overrides = dict[str, Any]
WIDE = 1.96  # standard errors of a 95 % interval
HEADER = (
    'task',
    'method',
    'runs',
    'global: best',
    'global: last',
    'global: last ten',
    'own: best',
    'own: last',
    'own: last ten',
    'global score',
    'own score',
    'kB up',
    'kB down',
    'slowest s',
    'cohort s',
    'rounds to target',
    'MB to target',
)


class Spread(NamedTuple):
    """A mean over seeds, with half of its 95 % interval.

    Attributes:
      mean: NaN for no seed.
      half: from the standard error within each seed; NaN where it is unknown.
    """

    mean: float
    half: float

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return '–'
        half = '' if math.isnan(self.half) else f' ± {self.half:.1f}'
        return f'{self.mean:.1f}{half}'


def spread(values: Sequence[float], errors: Sequence[float]) -> Spread:
    """The mean of independent numbers, each with its standard error."""
    pairs = [
        (v, e) for v, e in zip(values, errors, strict=True) if not math.isnan(v)
    ]
    if not pairs:
        return Spread(math.nan, math.nan)
    mean = float(np.mean([v for v, _ in pairs]))
    error = math.sqrt(sum(e**2 for _, e in pairs)) / len(pairs)
    return Spread(mean, WIDE * error)


def table(
    results: Sequence[Result],
    task: Callable[[Overrides], str],
    method: Callable[[Overrides], str],
    targets: Mapping[str, float],
    tuned: str = '',
) -> list[list[str]]:
    """A header, then a line for each task and method, and for each majority.

    Args:
      results: the runs.
      task: of a run.
      method: of a run.
      targets: task -> accuracy x 100 of the global prompt that is to be
        reached.
      tuned: key of the config that each method tries; the value with the best
        validation, mean over seeds, is shown. '' for none.
    """
    lines = [list(HEADER)]
    majorities: dict[str, list[str]] = {}
    for (name, how), members in groups(results, task, method).items():
        chosen, value = best_value(members, tuned)
        runs = [r.run for r in chosen if r.run is not None]
        done = sum(r.run is not None for r in members)
        count = f'{done}/{len(members)}'
        how = f'{how}, {value:g}' if value is not None else how
        if name not in majorities and runs:
            majorities[name] = _majority(name, runs)
        cells = _line(runs, targets.get(name, math.nan))
        lines.append([name, how, count, *cells])
    return [*lines, *majorities.values()]


def best_value(
    members: Sequence[Result], tuned: str
) -> tuple[Sequence[Result], float | None]:
    """The runs with the value that validation prefers, and the value.

    Args:
      members: runs of one method, of several values and seeds.
      tuned: key of the config; '' for none: then all of them, and None.
    """
    if not tuned:
        return members, None
    values: dict[float, list[Result]] = {}
    for result in members:
        if result.run is not None:
            values.setdefault(result.overrides[tuned], []).append(result)
    if not values:
        return (), None

    def validation(value: float) -> float:
        found = [
            tuning.validation_score(r.run)
            for r in values[value]
            if r.run is not None
        ]
        return float(np.nan_to_num(np.mean(found), nan=-np.inf))

    best = max(values, key=validation)
    return values[best], best


def scores(runs: Sequence[Run]) -> dict[str, Spread]:
    """'global' and 'own', 'best', 'last' and 'last ten' -> accuracy over seeds.

    The global prompt's accuracy is of the whole split, with the binomial error
    of its examples; the own prompts' is a mean over clients, with theirs. Best
    is the round that validation chose.
    """
    found = {}
    for at in ('best', 'last', 'last ten'):
        whole = [views.summary(r, 'global_accuracy')[at] for r in runs]
        errors = [
            binomial(v, r.stage(views.STAGE)[-1]['examples'] if r else 0)
            for v, r in zip(whole, runs, strict=True)
        ]
        found[f'global: {at}'] = spread(whole, errors)
        key = 'own_clients_accuracy'
        own = [views.summary(r, key)[at] for r in runs]
        # Ten rounds of the same clients: the error is about that of one.
        errors = [views.summary(r, f'{key}_se')[at] for r in runs]
        found[f'own: {at}'] = spread(own, errors)
    return found


def rounds_to(run: Run, target: float) -> float:
    """The first scored round whose global prompt reaches an accuracy x 100."""
    for line in run.stage(views.STAGE):
        if line['round'] and line['global_accuracy'] >= target:
            return float(line['round'])
    return math.nan


def groups(
    results: Sequence[Result],
    task: Callable[[Overrides], str],
    method: Callable[[Overrides], str],
) -> dict[tuple[str, str], list[Result]]:
    """The runs by task and method."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        names = task(result.overrides), method(result.overrides)
        found.setdefault(names, []).append(result)
    return found


def _line(runs: Sequence[Run], target: float) -> list[str]:
    if not runs:
        return ['–'] * (len(HEADER) - 3)
    found = scores(runs)
    accuracies = [str(found[title]) for title in HEADER[3:9]]
    unknown = [math.nan] * len(runs)
    own_metric = [
        spread([views.summary(r, key)['best'] for r in runs], unknown)
        for key in ('global_score', 'own_score')
    ]
    traffic = [
        np.mean([_a_client_s(r, key) for r in runs]) / 1e3
        for key in ('bytes_up', 'bytes_down')
    ]
    seconds = [
        np.mean([f(r) for r in runs]) for f in (_slowest, _seconds_a_round)
    ]
    reached = [rounds_to(r, target) for r in runs]
    sent = [
        n * (_mean(r, 'bytes_up') + _mean(r, 'bytes_down')) / 1e6
        for n, r in zip(reached, runs, strict=True)
    ]
    all_reach = not any(map(math.isnan, reached))
    return [
        *accuracies,
        *map(str, own_metric),
        *(f'{x:,.1f}' for x in traffic),
        *(f'{x:.2f}' for x in seconds),
        f'{np.mean(reached):.0f}' if all_reach else '–',
        f'{np.mean(sent):.1f}' if all_reach else '–',
    ]


def _majority(name: str, runs: Sequence[Run]) -> list[str]:
    firsts = [r.stage(views.STAGE)[0] for r in runs]

    def over_runs(key: str) -> list[float]:
        return [line.get(key, math.nan) for line in firsts]

    whole = spread(over_runs('majority_accuracy'), [math.nan] * len(runs))
    key = 'own_majority_clients_accuracy'
    own = spread(over_runs(key), over_runs(f'{key}_se'))
    cells = [*[str(whole)] * 3, *[str(own)] * 3]
    rest = len(HEADER) - len(cells) - 3
    return [name, 'majority', f'{len(runs)}', *cells, *['–'] * rest]


def binomial(percent: float, examples: int) -> float:
    """The standard error x 100 of an accuracy x 100 over so many examples."""
    share = percent / 100
    return 100 * math.sqrt(share * (1 - share) / examples)


def _mean(run: Run, key: str) -> float:
    lines = run.stage('train')
    return float(np.mean([x[key] for x in lines])) if lines else 0.0


def _a_client_s(run: Run, key: str) -> float:
    return _mean(run, key) / run.config['clients_per_round']


def _seconds_a_round(run: Run) -> float:
    """The median: the first rounds compile."""
    seconds = [x['seconds'] for x in run.stage('train')]
    return float(np.median(seconds)) if seconds else 0.0


def _slowest(run: Run) -> float:
    """Seconds of the busiest device of a round, the median over rounds."""
    seconds = [
        x['seconds'] * x.get('slowest_share', 1.0) for x in run.stage('train')
    ]
    return float(np.median(seconds)) if seconds else 0.0


def draw(
    results: Sequence[Result],
    task: Callable[[Overrides], str],
    method: Callable[[Overrides], str],
    tuned: str = '',
):
    """Accuracy of both views against what a client sends; a panel a task."""
    panels: dict[str, dict[str, list[Run]]] = {}
    for (name, how), members in groups(results, task, method).items():
        chosen, _ = best_value(members, tuned)
        runs = [r.run for r in chosen if r.run is not None]
        if runs:
            panels.setdefault(name, {})[how] = runs
    if not panels:
        return None
    figure = canvas.blank(1 + 4.2 * len(panels), 4.6)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (name, methods) in zip(axes, panels.items(), strict=True):
        for number, (how, runs) in enumerate(methods.items()):
            sent = np.mean([_a_client_s(r, 'bytes_up') for r in runs]) / 1e3
            found = scores(runs)
            for view, marker in (('global', 'o'), ('own', '^')):
                accuracy = found[f'{view}: best']
                ax.errorbar(
                    [sent],
                    [accuracy.mean],
                    yerr=[np.nan_to_num(accuracy.half)],
                    fmt=marker,
                    color=f'C{number % 10}',
                    label=how if view == 'global' else None,
                    capsize=2,
                )
        ax.set_title(name)
        ax.set_xlabel('kB a client sends in a round')
    axes[0].set_ylabel('accuracy (dot: global prompt; triangle: own)')
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=3)
    return figure
