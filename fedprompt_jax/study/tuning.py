"""Settings that are chosen on validation clients, as a table of the best."""

from collections.abc import Callable, Mapping, Sequence
import math
from types import MappingProxyType
from typing import Any

from fedprompt_jax.report import summary
from fedprompt_jax.report.run import Run
from fedprompt_jax.study.outputs import Result

Overrides = dict[str, Any]
Score = Callable[[Run], float]


def validation_score(run: Run) -> float:
    """What chose the global prompt, the more the better; NaN if nothing did.

    The validation's score, or its loss with the other sign.
    """
    chosen = run.chosen_validation
    return math.nan if chosen is None else float(run.preference(chosen)[0])


def local_score(run: Run) -> float:
    """The mean local score after the last epoch of personalization."""
    return _personalized(run, 'local')


def global_score(run: Run) -> float:
    """The mean global score then."""
    return _personalized(run, 'global')


def _personalized(run: Run, split: str) -> float:
    """NaN where a client diverged: a mean of the others is no comparison."""
    for row in summary.table(run.rows):
        if (
            row['prompt'] == 'personalized'
            and not row[split][run.selection].dropped
        ):
            return row[split][run.selection].mean
    return math.nan


def table(
    results: Sequence[Result],
    titles: Sequence[str],
    group: Callable[[Overrides], tuple[str, ...]],
    tuned: Mapping[str, str],
    score: Score,
    more: Mapping[str, Score] = MappingProxyType({}),
) -> list[list[str]]:
    """A header, and for each group of runs the settings with the best score.

    Args:
      results: the runs.
      titles: of the columns that name a group.
      group: overrides of a run -> the names of its group.
      tuned: key of the config that is tuned -> title of its column.
      score: of a complete run, NaN where it has none; of equals the first run
        is the best, and the cell says how many are equal.
      more: title -> other scores of the best run.

    Returns:
      The cells, with the best and the second best score, `more`, and the number
      of runs that had a score.
    """
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(group(result.overrides), []).append(result)
    lines = [
        [*titles, *tuned.values(), 'best score', 'second best', *more, 'runs']
    ]
    for names, members in groups.items():
        scored = [(score(r.run), r) for r in members if r.run is not None]
        ranked = sorted(
            (pair for pair in scored if not math.isnan(pair[0])),
            key=lambda pair: -pair[0],
        )
        count = f'{len(ranked)}/{len(members)}'
        if not ranked:
            blanks = ['–'] * (len(tuned) + 2 + len(more))
            lines.append([*names, *blanks, count])
            continue
        best, chosen = ranked[0]
        overrides, equal = chosen.overrides, [s for s, _ in ranked].count(best)
        values = [
            f'{overrides[key]:.3g}' if key in overrides else '–'
            for key in tuned
        ]
        second = f'{ranked[1][0]:.2f}' if len(ranked) > 1 else '–'
        shown = f'{best:.2f}' + (
            f' (one of {equal} equal)' if equal > 1 else ''
        )
        assert chosen.run is not None
        others = [f'{other(chosen.run):.2f}' for other in more.values()]
        lines.append([*names, *values, shown, second, *others, count])
    return lines
