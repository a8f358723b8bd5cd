"""RUN/report.html: one page with all that a run left, and nothing beside it.

    python -m fedprompt_jax.report RUN

draws the figures of a run folder and writes its report again, from its logs.
"""

import argparse
import base64
from collections.abc import Iterable, Iterator, Sequence
import html
import itertools
import json
import math
from pathlib import Path
import re
from typing import Any

from fedprompt_jax import files
from fedprompt_jax.experiment.run_folder import METRICS, TRADEOFF
from fedprompt_jax.report import costs, plots, records, summary
from fedprompt_jax.report.records import Row

CAPTIONS = {
    'tradeoff': 'Global against local {score} while each client trains the '
    'global prompt on its own examples. Left: the anchors, and every client. '
    'Right: means over clients with standard errors, epochs numbered; α '
    'weighs the personalized prompt against the global one.',
    'clients': 'Left: each client under the global prompt and under its own '
    'after the last epoch. Right: percentiles of local and of global scores '
    'over clients, by epoch.',
    'training': 'Training loss by round, and {score} of the global prompt on '
    'validation clients; the starred prompt is the one to personalize.',
    'norms': 'Frobenius norms by round: the global prompt, the mean client '
    'gradient, and what the server changes in a round.',
}
CLIENTS = 20  # most names of clients that are shown
# In the table of scores: a standard error, and what follows a column's split.
_APART = re.compile(r'± [0-9.]+|(?<=<th>local )[^<]+|(?<=<th>global )[^<]+')
_CSS = """
:root { color-scheme: light dark; --line: #d0d7de; --soft: #f6f8fa;
  --warn: #fff4d6; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3d444d; --soft: #1c2128; --warn: #453500; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem;
  margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem;
  text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child, .words td { text-align: left; }
.words td { white-space: pre-wrap; overflow-wrap: anywhere; }
.scores th, .scores td { padding: .3rem .4rem; white-space: normal; }
.scores td:first-child, .scores span { white-space: nowrap; }
.scores th span { display: block; }
pre, .warning { background: var(--soft); padding: .6rem; border-radius: 6px;
  overflow-x: auto; }
.warning { background: var(--warn); }
figure { margin: 1.5rem 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
figcaption, .note { font-size: .9rem; opacity: .85; margin: .2rem 0; }
summary { cursor: pointer; }
"""


def write(folder: str | Path) -> Path:
    """Draws the figures and writes RUN/report.html, whole; its path.

    Parts for which the run has no data yet are left out.

    Raises:
      ValueError: it is no run folder, or a file in it cannot be read.
    """
    folder = Path(folder)
    names = ('config.json', METRICS, TRADEOFF)
    if not any((folder / name).is_file() for name in names):
        raise ValueError(
            f'{folder} is no run folder: it has none of {", ".join(names)}. '
            'Give the folder that --workdir named.'
        )
    page = '\n'.join(_page(folder, plots.all_figures(folder)))
    path = folder / 'report.html'
    files.write_whole(path, page)
    return path


def main(argv: Sequence[str] | None = None) -> None:
    """Writes figures and report of an existing run folder."""
    parser = argparse.ArgumentParser(
        prog='python -m fedprompt_jax.report',
        description='Draws the figures of a run folder, writes its report.',
    )
    parser.add_argument('run', metavar='RUN', help='the folder of a run')
    try:
        print(write(parser.parse_args(argv).run))
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _page(folder: Path, figures: list[Path]) -> Iterator[str]:
    config = records.read_json(folder, 'config.json')
    run = records.read_json(folder, 'run.json')
    lines = records.read_metrics(folder)
    words = [config.get('name', folder.name), config.get('scale', '')]
    title = _text(' '.join(map(str, filter(None, words))))
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f'<title>{title}</title><style>{_CSS}</style></head><body>'
    yield f'<h1>{title}</h1>'
    yield f'<p>{_text(_when(run))}</p>'
    for warning in [*(run.get('warnings') or []), *costs.dropped(lines)]:
        yield f'<p class="warning">{_text(warning)}</p>'
    metric = records.selection(folder)
    yield from _scores(folder, metric)
    score = summary.score_names(metric)[metric]
    yield from (_figure(path, score) for path in figures)
    yield from _costs(config, run, lines)
    yield from _logs(lines)
    yield from _facts(config, run)
    yield '</body></html>\n'


def _when(run: dict[str, Any]) -> str:
    started = f'Started {run.get("started") or "at an unknown time"}'
    if run.get('finished'):
        return f'{started}, finished {run["finished"]}.'
    return f'{started}, not finished.'


def _scores(folder: Path, metric: str) -> Iterator[str]:
    if not (folder / TRADEOFF).is_file():
        return
    rows = records.read_tradeoff(folder)
    yield '<h2>Scores</h2>' + _table(summary.cells(rows, metric), 'scores')
    unit = records.loss_unit(folder)
    for note in summary.footnotes(rows, unit, metric):
        yield f'<p class="note">{_text(note)}</p>'


def _figure(path: Path, score: str) -> str:
    caption = CAPTIONS[path.stem].format(score=score)
    data = base64.b64encode(path.read_bytes()).decode('ascii')
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{path.stem}">'
        f'<figcaption>{_text(caption)}</figcaption></figure>'
    )


def _costs(
    config: dict[str, Any], run: dict[str, Any], lines: list[Row]
) -> Iterator[str]:
    if not lines:
        return
    yield '<h2>Cost</h2>'
    yield _table(costs.traffic(lines, config.get('clients_per_round')))
    # run.json has the seconds of the last start alone.
    once = len(run.get('starts') or ()) <= 1
    seconds = run.get('seconds') if once else None
    yield _table(costs.computation(lines, seconds))
    yield (
        '<p class="note">Tokens and FLOPs are those of training and '
        'personalization: real tokens, and the operations they need.</p>'
    )


def _logs(lines: list[Row]) -> Iterator[str]:
    for stages, key in (
        (('train', 'validation'), 'round'),
        (('personalize',), 'epoch'),
    ):
        table = _by_step(lines, stages, key)
        if len(table) > 1:
            name = f'Every {key}: {", ".join(stages)}'
            yield _details(name, _table(table))


def _by_step(
    lines: Iterable[Row], stages: Sequence[str], key: str
) -> list[list[str]]:
    """A header, then a row a step, the stages' columns side by side."""
    steps: dict[int, Row] = {}
    names: dict[str, None] = {}  # the columns, in the order of the log
    for stage in stages:
        prefix = '' if stage == stages[0] else f'{stage} '
        for line in (x for x in lines if x.get('stage') == stage):
            own = {
                prefix + k: v
                for k, v in line.items()
                if k not in ('stage', key)
            }
            steps.setdefault(line[key], {}).update(own)
            names |= dict.fromkeys(own)
    body = [
        [str(step), *(_number(row.get(n, math.nan)) for n in names)]
        for step, row in sorted(steps.items())
    ]
    return [[key, *names], *body]


def _facts(config: dict[str, Any], run: dict[str, Any]) -> Iterator[str]:
    yield '<h2>Run</h2>'
    if 'clients' in run:
        run = run | {'clients': _first_clients(run['clients'])}
    if 'command' in run:
        yield f'<pre>{_text(run["command"])}</pre>'
    for name, tree in (
        ('Config', config),
        ('Versions, devices, fingerprints, data', run),
    ):
        if tree:
            table = [('key', 'value'), *_flat(tree)]
            yield _details(name, _table(table, 'words'))


def _first_clients(lists: dict[str, dict[str, str]]) -> dict[str, dict]:
    """The first names of each list of clients, and how many more there are."""
    shown = {}
    for key, names in lists.items():
        shown[key] = dict(itertools.islice(names.items(), CLIENTS))
        if (more := len(names) - CLIENTS) > 0:
            shown[key]['...'] = f'{more:,} more, in run.json'
    return shown


def _flat(tree: dict[str, Any], prefix: str = '') -> Iterator[tuple[str, str]]:
    """Dotted keys and values; a list is a line an item where it has text."""
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


def _table(rows: Sequence[Sequence[str]], kind: str = 'numbers') -> str:
    """A header and rows; a wide table scrolls by itself.

    The table of scores breaks its lines instead, before '±'.
    """
    header, *body = ([_text(cell) for cell in row] for row in rows)
    lines = [f'<tr><th>{"</th><th>".join(header)}</th></tr>']
    lines += [f'<tr><td>{"</td><td>".join(row)}</td></tr>' for row in body]
    inner = '\n'.join(lines)
    if kind == 'scores':
        inner = _APART.sub(r'<span>\g<0></span>', inner)
    return f'<div class="scroll"><table class="{kind}">{inner}</table></div>'


def _details(name: str, inner: str) -> str:
    return f'<details><summary>{_text(name)}</summary>{inner}</details>'


def _text(value: Any) -> str:
    return html.escape(str(value))
