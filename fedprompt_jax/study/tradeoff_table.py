"""The statistics of the trade-off in a study: a line for each kind of run."""

from collections.abc import Iterator, Sequence

from fedprompt_jax.report import statistics, trajectory
from fedprompt_jax.report.run import Run, leading_metric
from fedprompt_jax.report.trajectory import Trajectory
from fedprompt_jax.tradeoff import clients

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

CLIENT_NOTES = (
    'Clients: percentiles over clients after the last epoch minus those of the '
    'global prompt, each axis by itself, with 95 % bootstrap intervals; and '
    'the client whose score changes for the worst.',
)
Lines = Sequence[tuple[str, Sequence[Run | None]]]


def columns(run: Run) -> dict[str, float]:
    """The statistics of a run as columns of table.csv.

    Returns:
      'tradeoff.NAME', and 'tradeoff.NAME.low' and '.high', the ends of its 95 %
      interval over the run's clients; likewise 'tradeoff.AXIS.p10' and so on,
      the change of a percentile over clients; 'tradeoff.AXIS.worst', the change
      of the worst client. {} where no client personalized.
    """
    found = trajectory.read(run.rows, run.selection, averaged=True)
    if found is None:
        return {}
    intervals = statistics.statistics(found)
    before, after = statistics.ends(found)
    changes = clients.decile_changes(before, after, found.seeds)
    for (axis, percent), change in changes.items():
        intervals[f'{axis}.p{percent}'] = change
    values: dict[str, float] = {}
    for name, interval in intervals.items():
        values[f'tradeoff.{name}'] = interval.estimate
        values[f'tradeoff.{name}.low'] = interval.low
        values[f'tradeoff.{name}.high'] = interval.high
    for axis, worst in clients.worst(before, after).items():
        values[f'tradeoff.{axis}.worst'] = worst.change
    return values


def cells(lines: Lines) -> list[list[str]]:
    """A header, and a line for runs that differ in the seed alone.

    Args:
      lines: the name of each line, and its runs; None for one not complete.

    Returns:
      [] where no client of any run personalized. The clients of a line's runs
      are pooled by seed.
    """
    body = []
    for name, found in _pooled(lines):
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


def client_cells(lines: Lines) -> list[list[str]]:
    """A header, and what the means of each line hide; as `cells`."""
    body, header = [], ['']
    for name, found in _pooled(lines):
        if found is None:
            continue
        before, after = statistics.ends(found)
        changes = clients.decile_changes(before, after, found.seeds)
        worst = clients.worst(before, after)
        header = [
            '',
            *(f'{axis}, {percent}th' for axis, percent in changes),
            *(f'worst {axis}' for axis in worst),
        ]
        shown = [statistics.show_change(change) for change in changes.values()]
        for place, change in worst.values():
            _, seed, client = found.clients[place]
            who = found.names[place] or f'client {client}'
            shown.append(
                '–' if place < 0 else f'{change:+.2f} ({who}, seed {seed})'
            )
        body.append([name, *shown])
    return [header, *body] if body else []


def _pooled(lines: Lines) -> Iterator[tuple[str, Trajectory | None]]:
    """Yields the name of each line, and its clients pooled by seed."""
    complete = [
        (name, [run for run in runs if run is not None]) for name, runs in lines
    ]
    metric = leading_metric([run for _, runs in complete for run in runs])
    for name, runs in complete:
        yield name, trajectory.of_runs(runs, metric)


def _cell(estimate: str, span: str) -> str:
    if span == '–':
        return estimate
    text = f'{estimate} [{span.replace(" to ", ", ")}]'
    return text.replace(' %', '')  # the title says it
