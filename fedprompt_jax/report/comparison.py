"""DIR/report.html of several runs: common figures, and a table for each."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fedprompt_jax import files
from fedprompt_jax.report import drawing, markup
from fedprompt_jax.report.drawing import Drawing
from fedprompt_jax.report.page import title_of, when
from fedprompt_jax.report.run import Run, is_run, open_runs


def write(folders: Sequence[str | Path], output: str | Path) -> Path:
    """Draws the figures of several runs, writes their page, returns its path.

    Args:
      folders: the run folders, which are only read.
      output: the folder for figures/ and report.html; it is made.

    Raises:
      ValueError: a folder is no run or is given twice, a file in it cannot be
        read, or `output` is a run, whose own report would be lost.
    """
    output = Path(output)
    if is_run(output):
        raise ValueError(
            f'--output={output} is a run folder; give a folder of its own for '
            'the report of several runs.'
        )
    runs = open_runs(folders)
    drawings, failures = drawing.draw_all(runs)
    output.mkdir(parents=True, exist_ok=True)
    drawing.save(output, drawings)
    body = _body(runs, drawings, failures)
    page = markup.document(f'{len(runs)} runs', body)
    path = output / 'report.html'
    files.write_whole(path, page)
    return path


def _body(
    runs: Sequence[Run],
    drawings: Sequence[Drawing],
    failures: Sequence[str],
) -> Iterator[str]:
    yield from (markup.paragraph(x, 'warning') for x in failures)
    yield from map(markup.figure, drawings)
    for run in runs:
        scores = list(markup.scores(run, run.name))
        yield from scores or [
            f'<h2>{markup.text(run.name)}</h2>',
            markup.paragraph('It has no scores yet.'),
        ]
        yield from markup.tradeoff(run)
        sentence = f'{title_of(run)}, in {run.folder}. {when(run)}'
        yield markup.paragraph(sentence, 'note')
