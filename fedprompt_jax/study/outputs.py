"""What a study leaves beside its runs: a figure, tables and one page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import functools
import logging
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from fedprompt_jax import files
from fedprompt_jax.report import canvas, markup
from fedprompt_jax.report.drawing import Drawing
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import table, tradeoff_table
from fedprompt_jax.study.points import Point

_LOG = logging.getLogger(__name__)

FIGURE, MARKDOWN, REPORT = 'figure.png', 'table.md', 'report.html'


class Result(NamedTuple):
    """A run of a study as its figure gets it.

    Attributes:
      name: of the run.
      overrides: dotted key of the config -> value.
      run: its records; None where it is not complete.
      status: how far it has come, see table.status.
      measured: of a study of the data alone, column -> number; there is no run.
    """

    name: str
    overrides: dict[str, Any]
    run: Run | None
    status: str
    measured: Mapping[str, float] = MappingProxyType({})


T = TypeVar('T')
Draw = Callable[[Sequence[Result]], Any]  # returns a figure of matplotlib
Shown = tuple[Sequence[Sequence[str]], Sequence[str]]  # cells and notes
# Returns a header and cells.
Tabulate = Callable[[Sequence[Result]], Sequence[Sequence[str]]]


class Study(NamedTuple):
    """A study's file, and where what it leaves is written.

    Attributes:
      folder: of the figure, the tables and the page.
      title: of the page.
      caption: of the figure, with the settings that it depends on.
      draw: makes the figure; None for a study without one.
      tabulate: makes the table that is shown, in the place of that of all runs.
    """

    folder: Path
    title: str
    caption: str = ''
    draw: Draw | None = None
    tabulate: Tabulate | None = None

    def write(
        self,
        points: Sequence[Point],
        folders: Sequence[Path],
        ends: Sequence[str],
    ) -> str:
        """Writes all of it from kept records; returns the text table.

        Args:
          points: the runs.
          folders: the run folder of each.
          ends: the status of each.
        """
        records = table.rows(points, folders, ends)
        found = results(points, folders, ends)
        cells, notes = table.cells(points, records), table.notes(records)
        runs = [result.run for result in found]
        more = tradeoff_table.cells(table.grouped(points, runs))
        return self._leave(records, found, cells, notes, more)

    def write_measured(
        self,
        points: Sequence[Point],
        measured: Sequence[Mapping[str, float]],
    ) -> str:
        """The same of a study without runs.

        Args:
          points: what is measured.
          measured: column -> number, of each.
        """
        records: list[dict[str, Any]] = []
        found = []
        for point, columns in zip(points, measured, strict=True):
            status = table.COMPLETE
            records.append(
                {**point.overrides, 'point': point.name, 'status': status}
                | dict(columns)
            )
            found.append(
                Result(point.name, point.overrides, None, status, columns)
            )
        keys = list(dict.fromkeys(key for m in measured for key in m))
        cells = [['', *keys]] + [
            [point.name, *(f'{m[k]:.4g}' if k in m else '–' for k in keys)]
            for point, m in zip(points, measured, strict=True)
        ]
        return self._leave(records, found, cells, [])

    def _leave(
        self,
        records: Sequence[dict[str, Any]],
        found: Sequence[Result],
        cells: Sequence[Sequence[str]],
        notes: Sequence[str],
        more: Sequence[Sequence[str]] = (),
    ) -> str:
        """Writes figure, tables and page; returns the text table."""
        self.folder.mkdir(parents=True, exist_ok=True)
        gaps = table.gaps(records)
        other = self._attempt('table', self._tabulated, found)
        if other is not None:
            cells, notes = other, [self.caption] if self.caption else []
            more = ()  # the table says what the study is about
        shown: list[Shown] = [(cells, notes)]
        if more:
            shown.append((more, tradeoff_table.NOTES))
        for name, text in (
            (table.FILE, table.as_csv(records)),
            (MARKDOWN, _join(table.markdown, shown, gaps)),
        ):
            files.write_whole(self.folder / name, text)
        png = None
        if self.draw is not None:
            drawn = functools.partial(canvas.png, self.draw)
            png = self._attempt('figure', drawn, found)
        if png is None:  # an older one would be of other runs
            (self.folder / FIGURE).unlink(missing_ok=True)
        else:
            files.write_whole(self.folder / FIGURE, png)
        body = [
            *(markup.paragraph(f'No result: {gap}', 'warning') for gap in gaps),
            *([self._figure(png)] if png else []),
            '<h2>Scores</h2>' if other is None else '<h2>Table</h2>',
            *_tables(shown),
        ]
        page = markup.document(self.title, body)
        files.write_whole(self.folder / REPORT, page)
        return _join(table.text, shown, gaps)

    def _tabulated(
        self, found: Sequence[Result]
    ) -> Sequence[Sequence[str]] | None:
        if self.tabulate is None:
            return None
        header, *body = (
            [str(x) for x in line] for line in self.tabulate(found)
        )
        for line in body:
            if len(line) != len(header):
                raise ValueError(f'{line} is no line under {header}')
        return [header, *body]

    def _attempt(
        self,
        what: str,
        make: Callable[[Sequence[Result]], T],
        found: Sequence[Result],
    ) -> T | None:
        """What a study's file makes; None if it fails."""
        try:
            return make(found)
        except Exception as error:  # of a user's file; the runs are complete
            _LOG.warning(
                'The %s of %s cannot be made: %s: %s',
                what,
                self.title,
                type(error).__name__,
                error,
            )
            return None

    def _figure(self, png: bytes) -> str:
        return markup.figure(Drawing(self.title, self.caption, png))


def _join(
    render: Callable[..., str], shown: Sequence[Shown], gaps: Sequence[str]
) -> str:
    """Tables as one text; the runs without a result follow the last."""
    *others, (cells, notes) = shown
    texts = [f'{render(*other, []).rstrip()}\n' for other in others]
    return '\n'.join([*texts, render(cells, notes, gaps)])


def _tables(shown: Sequence[Shown]) -> Iterator[str]:
    """Yields tables and their notes as HTML."""
    for cells, notes in shown:
        yield markup.table(cells)
        yield from (markup.paragraph(note, 'note') for note in notes)


def results(
    points: Sequence[Point], folders: Sequence[Path], ends: Sequence[str]
) -> list[Result]:
    """The runs of a study, in the order of its points."""
    return [
        Result(
            point.name,
            point.overrides,
            Run(folder, point.name) if end == table.COMPLETE else None,
            end,
        )
        for point, folder, end in zip(points, folders, ends, strict=True)
    ]
