"""What a study leaves beside its runs: a figure, tables and one page."""

from collections.abc import Callable, Sequence
import logging
from pathlib import Path
from typing import Any, NamedTuple

from fedprompt_jax import files
from fedprompt_jax.report import canvas, markup
from fedprompt_jax.report.drawing import Drawing
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import table
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
    """

    name: str
    overrides: dict[str, Any]
    run: Run | None
    status: str


Draw = Callable[[Sequence[Result]], Any]  # returns a figure of matplotlib


class Study(NamedTuple):
    """A study's file, and where what it leaves is written.

    Attributes:
      folder: of the figure, the tables and the page.
      title: of the page.
      caption: of the figure, with the settings that it depends on.
      draw: makes the figure; None for a study without one.
    """

    folder: Path
    title: str
    caption: str = ''
    draw: Draw | None = None

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
        self.folder.mkdir(parents=True, exist_ok=True)
        records = table.rows(points, folders, ends)
        cells = table.cells(points, records)
        gaps = table.gaps(records)
        for name, text in (
            (table.FILE, table.as_csv(records)),
            (MARKDOWN, table.markdown(cells, records)),
        ):
            files.write_whole(self.folder / name, text)
        png = self._draw(results(points, folders, ends))
        if png is not None:
            files.write_whole(self.folder / FIGURE, png)
        body = [
            *(markup.paragraph(f'No result: {gap}', 'warning') for gap in gaps),
            *([self._figure(png)] if png else []),
            '<h2>Scores</h2>',
            markup.table(cells),
            *(markup.paragraph(x, 'note') for x in table.notes(records)),
        ]
        page = markup.document(self.title, body)
        files.write_whole(self.folder / REPORT, page)
        return table.text(cells, records)

    def _draw(self, found: Sequence[Result]) -> bytes | None:
        """The figure as PNG; None without one, or if it cannot be drawn."""
        if self.draw is None:
            return None
        try:
            return canvas.png(self.draw, found)
        except Exception as error:  # of a user's file; the runs are complete
            _LOG.warning(
                'The figure of %s cannot be drawn: %s: %s',
                self.title,
                type(error).__name__,
                error,
            )
            return None

    def _figure(self, png: bytes) -> str:
        return markup.figure(Drawing(self.title, self.caption, png))


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
