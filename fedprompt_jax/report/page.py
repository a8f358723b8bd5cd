"""RUN/report.html: one self-contained page with all results of a run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import itertools
import json
import math
from pathlib import Path
from typing import Any

from fedprompt_jax import files
from fedprompt_jax.report import (
    costs,
    drawing,
    markup,
    task_types,
    transfer,
    views,
)
from fedprompt_jax.report.drawing import Drawing
from fedprompt_jax.report.records import Row
from fedprompt_jax.report.run import Run, open_run

CLIENTS = 20  # most names of clients that are shown


def write(
    folder: str | Path, warn: Callable[[str], None] = lambda sentence: None
) -> Path:
    """Draws the figures and writes RUN/report.html, whole; returns its path.

    Parts for which the run has no data yet are left out, and so is a figure
    that raises an error.

    Args:
      folder: RUN.
      warn: called with a sentence for each such figure; the page has it too.

    Raises:
      ValueError: it is no run folder, or a file in it cannot be read.
    """
    run = open_run(folder)
    drawings, failures = drawing.draw_all([run])
    for failure in failures:
        warn(failure)
    drawing.save(run.folder, drawings)
    page = markup.document(title_of(run), _body(run, drawings, failures))
    path = run.folder / 'report.html'
    files.write_whole(path, page)
    return path


def title_of(run: Run) -> str:
    """The name and scale of a run's config."""
    config = run.config
    words = [config.get('name', run.folder.name), config.get('scale', '')]
    return ' '.join(map(str, filter(None, words)))


def when(run: Run) -> str:
    """A sentence that says when a run started and finished."""
    started = f'Started {run.info.get("started") or "at an unknown time"}'
    if run.info.get('finished'):
        return f'{started}, finished {run.info["finished"]}.'
    return f'{started}, not finished.'


def _body(
    run: Run, drawings: Sequence[Drawing], failures: Sequence[str]
) -> Iterator[str]:
    yield markup.paragraph(when(run))
    # Failures of figures are those of this drawing, not of an earlier one.
    warnings = [
        x for x in run.info.get('warnings') or () if not drawing.is_failure(x)
    ]
    for warning in [*warnings, *failures, *costs.dropped(run.metrics)]:
        yield markup.paragraph(warning, 'warning')
    yield from markup.scores(run, 'Scores')
    yield from markup.tradeoff(run)
    for heading, rows, note in (
        ('By task type', task_types.table(run), task_types.NOTE),
        ('Transfer between clients', transfer.table(run), transfer.NOTE),
    ):
        if rows:
            yield f'<h2>{heading}</h2>' + markup.table(rows)
            yield markup.paragraph(note, 'note')
    if rows := views.table(run):
        yield '<h2>Training clients on the official test split</h2>'
        yield markup.table(rows)
    yield from map(markup.figure, drawings)
    yield from _costs(run)
    yield from _logs(run.metrics)
    yield from _facts(run.config, run.info)


def _costs(run: Run) -> Iterator[str]:
    if not run.metrics:
        return
    yield '<h2>Cost</h2>'
    clients = run.config.get('clients_per_round')
    yield markup.table(costs.traffic(run.metrics, clients))
    # run.json has the seconds of the last start alone.
    once = len(run.info.get('starts') or ()) <= 1
    seconds = run.info.get('seconds') if once else None
    yield markup.table(costs.computation(run.metrics, seconds))
    if not math.isnan(costs.evaluation_share(run.metrics)):
        yield markup.paragraph(costs.evaluation(run.metrics), 'note')
    yield markup.paragraph(
        'Tokens and FLOPs are those of training and personalization: real '
        'tokens, and the operations they need.',
        'note',
    )


def _logs(lines: list[Row]) -> Iterator[str]:
    before = dict.fromkeys(x['stage'] for x in lines if 'step' in x)
    for stages, key in (
        *(((stage,), 'step') for stage in before),
        (('train', 'validation', views.STAGE), 'round'),
        (('personalize',), 'epoch'),
    ):
        table = _by_step(lines, stages, key)
        if len(table) > 1:
            name = f'Every {key}: {", ".join(stages)}'
            yield markup.details(name, markup.table(table))


def _by_step(
    lines: Iterable[Row], stages: Sequence[str], key: str
) -> list[list[str]]:
    """A header, then a row for each step, with the columns of all stages."""
    steps: dict[int, Row] = {}
    names: dict[str, None] = {}  # the columns, in the order of the log
    for stage in stages:
        prefix = '' if stage == stages[0] else f'{stage} '
        for line in (x for x in lines if x.get('stage') == stage):
            columns = {
                prefix + k: v
                for k, v in line.items()
                if k not in ('stage', key)
            }
            steps.setdefault(line[key], {}).update(columns)
            names |= dict.fromkeys(columns)
    body = [
        [str(step), *(_number(row.get(n, math.nan)) for n in names)]
        for step, row in sorted(steps.items())
    ]
    return [[key, *names], *body]


def _facts(config: dict[str, Any], info: dict[str, Any]) -> Iterator[str]:
    yield '<h2>Run</h2>'
    if 'clients' in info:
        info = info | {'clients': _first_clients(info['clients'])}
    if 'command' in info:
        yield f'<pre>{markup.text(info["command"])}</pre>'
    for name, tree in (
        ('Config', config),
        ('Versions, devices, fingerprints, data', info),
    ):
        if tree:
            table = [('key', 'value'), *_flat(tree)]
            yield markup.details(name, markup.table(table, 'words'))


def _first_clients(lists: dict[str, dict[str, str]]) -> dict[str, dict]:
    """The first names of each list of clients, and how many more there are."""
    shown = {}
    for key, names in lists.items():
        shown[key] = dict(itertools.islice(names.items(), CLIENTS))
        if (more := len(names) - CLIENTS) > 0:
            shown[key]['...'] = f'{more:,} more, in run.json'
    return shown


def _flat(tree: dict[str, Any], prefix: str = '') -> Iterator[tuple[str, str]]:
    """Yields dotted keys and values; a list of texts has a line for each."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}.')
        elif isinstance(value, str):
            yield f'{prefix}{key}', value
        elif isinstance(value, list) and all(isinstance(x, str) for x in value):
            yield f'{prefix}{key}', '\n'.join(value)
        else:
            yield f'{prefix}{key}', json.dumps(value)


def _number(x: Any) -> str:
    if isinstance(x, float):
        return '–' if math.isnan(x) else f'{x:.4g}'
    return f'{x:,}' if isinstance(x, int) else str(x)
