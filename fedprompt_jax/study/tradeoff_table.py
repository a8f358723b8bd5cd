"""The statistics of the trade-off in a study: a line for each kind of run."""

from collections.abc import Sequence

from fedprompt_jax.report import statistics, trajectory
from fedprompt_jax.report.run import Run, leading_metric

# Statistics that the printed table shows -> their titles.
SHOWN = {
    'hypervolume': 'hypervolume',
    'area': 'area',
    'best_local': 'best local',
    'hurt_local': 'hurt, local %',
    'hurt_global': 'hurt, global %',
}
NOTES = (
    'Trade-off (docs/tradeoff.md): area beyond the bare model, area under the '
    'trajectory, best local score at no loss of global, share of clients hurt. '
    '95 % bootstrap intervals in brackets, over seeds and over clients within '
    'them; with one seed over its clients alone.',
)


def columns(run: Run) -> dict[str, float]:
    """The statistics of a run as columns of table.csv.

    Returns:
      'tradeoff.NAME', and 'tradeoff.NAME.low' and '.high', the ends of its 95 %
      interval over the run's clients. {} where no client personalized.
    """
    found = trajectory.read(run.rows, run.selection, averaged=True)
    values: dict[str, float] = {}
    if found is not None:
        for name, interval in statistics.statistics(found).items():
            values[f'tradeoff.{name}'] = interval.estimate
            values[f'tradeoff.{name}.low'] = interval.low
            values[f'tradeoff.{name}.high'] = interval.high
    return values


def cells(
    lines: Sequence[tuple[str, Sequence[Run | None]]],
) -> list[list[str]]:
    """A header, and a line for runs that differ in the seed alone.

    Args:
      lines: the name of each line, and its runs; None for one not complete.

    Returns:
      [] where no client of any run personalized. The clients of a line's runs
      are pooled by seed.
    """
    complete = [
        (name, [run for run in runs if run is not None]) for name, runs in lines
    ]
    metric = leading_metric([run for _, runs in complete for run in runs])
    body = []
    for name, runs in complete:
        found = trajectory.of_runs(runs, metric)
        if found is None:
            body.append([name, '–', '–', *['–'] * len(SHOWN)])
            continue
        numbers = statistics.statistics(found)
        some = numbers['best_local']
        shown = {k: _cell(*statistics.show(k, x)) for k, x in numbers.items()}
        counts = [f'{some.seeds}', f'{some.clients}']
        body.append([name, *counts, *(shown.get(key, '–') for key in SHOWN)])
    if all(line[1] == '–' for line in body):
        return []
    return [['', 'seeds', 'clients', *SHOWN.values()], *body]


def _cell(estimate: str, span: str) -> str:
    if span == '–':
        return estimate
    text = f'{estimate} [{span.replace(" to ", ", ")}]'
    return text.replace(' %', '')  # the title says it
