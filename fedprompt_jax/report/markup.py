"""The parts of a page in HTML that needs nothing beside it."""

import base64
from collections.abc import Iterable, Iterator, Sequence
import html
import re
from typing import Any

from fedprompt_jax.report import genie, statistics, summary
from fedprompt_jax.report import trajectory as trajectory_lib
from fedprompt_jax.report.drawing import Drawing
from fedprompt_jax.report.run import Run

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


def document(title: str, body: Iterable[str]) -> str:
    """A whole page.

    Args:
      title: as text; the other texts here are made safe in the same way.
      body: in HTML.
    """
    return '\n'.join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f'<title>{text(title)}</title><style>{_CSS}</style></head><body>',
            f'<h1>{text(title)}</h1>',
            *body,
            '</body></html>\n',
        ]
    )


def text(value: Any) -> str:
    """Any value as text that is no HTML."""
    return html.escape(str(value))


def paragraph(sentence: str, kind: str = '') -> str:
    """A paragraph; kind is '', 'note' or 'warning'."""
    attribute = f' class="{kind}"' if kind else ''
    return f'<p{attribute}>{text(sentence)}</p>'


def figure(drawing: Drawing) -> str:
    """A picture, in the page itself, and its caption."""
    data = base64.b64encode(drawing.png).decode('ascii')
    return (
        f'<figure><img src="data:image/png;base64,{data}" '
        f'alt="{text(drawing.name)}">'
        f'<figcaption>{text(drawing.caption)}</figcaption></figure>'
    )


def scores(run: Run, heading: str) -> Iterator[str]:
    """Yields the table of a run's scores and its notes, if it has scores."""
    if not run.has_scores:
        return
    better = genie.rows(run.folder, run.rows, run.selection)
    cells = summary.cells([*run.rows, *better], run.selection)
    yield f'<h2>{text(heading)}</h2>' + table(cells, 'scores')
    notes = summary.footnotes(run.rows, run.loss_unit, run.selection)
    more = [genie.NOTE] if better else []
    yield from (paragraph(note, 'note') for note in [*notes, *more])


def tradeoff(run: Run) -> Iterator[str]:
    """Yields the statistics of a run's trade-off, if clients personalized."""
    metric = run.selection
    trajectory = trajectory_lib.read(run.rows, metric, averaged=True)
    if trajectory is None:
        return
    yield '<h3>Trade-off</h3>' + table(statistics.cells(trajectory))
    yield table(statistics.decile_cells(trajectory))
    name = summary.score_names(metric)[metric]
    for note in statistics.notes(trajectory, name):
        yield paragraph(note, 'note')


def table(rows: Sequence[Sequence[str]], kind: str = 'numbers') -> str:
    """A header and rows; a wide table scrolls by itself.

    The table of scores breaks its lines instead, before '±'.
    """
    header, *body = ([text(cell) for cell in row] for row in rows)
    lines = [f'<tr><th>{"</th><th>".join(header)}</th></tr>']
    lines += [f'<tr><td>{"</td><td>".join(row)}</td></tr>' for row in body]
    inner = '\n'.join(lines)
    if kind == 'scores':
        inner = _APART.sub(r'<span>\g<0></span>', inner)
    return f'<div class="scroll"><table class="{kind}">{inner}</table></div>'


def details(name: str, inner: str) -> str:
    """A part that is shown when its name is clicked."""
    return f'<details><summary>{text(name)}</summary>{inner}</details>'
