"""Settings that are chosen on validation clients, as a table of the best."""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

from fedprompt_jax.report import summary
from fedprompt_jax.report.run import Run
from fedprompt_jax.study.outputs import Result

Overrides = dict[str, Any]
Score = Callable[[Run], float]


def validation_score(run: Run) -> float:
    """The score of the validation that chose the global prompt; NaN if none."""
    chosen = run.chosen_validation
    return math.nan if chosen is None else float(chosen[run.selection])


def local_score(run: Run) -> float:
    """The mean local score after the last epoch of personalization."""
    for row in summary.table(run.rows):
        if row['prompt'] == 'personalized':
            return row['local'][run.selection].mean
    return math.nan


def table(
    results: Sequence[Result],
    titles: Sequence[str],
    group: Callable[[Overrides], tuple[str, ...]],
    tuned: Mapping[str, str],
    score: Score,
) -> list[list[str]]:
    """A header, and for each group of runs the settings with the best score.

    Args:
      results: the runs.
      titles: of the columns that name a group.
      group: overrides of a run -> the names of its group.
      tuned: key of the config that is tuned -> title of its column.
      score: of a complete run, NaN where it has none; of equals the first run
        is the best.

    Returns:
      The cells, with the best score, its rival's (the second best), and the
      number of runs that had a score.
    """
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(group(result.overrides), []).append(result)
    lines = [[*titles, *tuned.values(), 'score', 'second', 'runs']]
    for names, members in groups.items():
        scored = [
            (score(r.run), r.overrides) for r in members if r.run is not None
        ]
        ranked = sorted(
            (pair for pair in scored if not math.isnan(pair[0])),
            key=lambda pair: -pair[0],
        )
        count = f'{len(ranked)}/{len(members)}'
        if not ranked:
            blanks = ['–'] * (len(tuned) + 2)
            lines.append([*names, *blanks, count])
            continue
        best, overrides = ranked[0]
        values = [
            f'{overrides[key]:.3g}' if key in overrides else '–'
            for key in tuned
        ]
        second = f'{ranked[1][0]:.2f}' if len(ranked) > 1 else '–'
        lines.append([*names, *values, f'{best:.2f}', second, count])
    return lines
