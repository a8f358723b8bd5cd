"""Studies of the data alone: points that are measured, with no run."""

from collections.abc import Callable, Sequence
import json
from pathlib import Path

from ml_collections import config_dict
from tqdm import tqdm

from fedprompt_jax import files
from fedprompt_jax.study.points import Point

FOLDER = 'measured'  # in the folder of a study's results
Columns = dict[str, float]
Measure = Callable[[config_dict.ConfigDict], Columns]


def measure_all(
    points: Sequence[Point], measure: Measure, folder: Path
) -> list[Columns]:
    """Measures all points, and keeps their columns for `read`.

    Args:
      points: their configs are measured.
      measure: of a study's file.
      folder: of the study's results.

    Raises:
      ValueError: `measure` says that the data are at fault.
    """
    found = []
    for point in tqdm(points, desc='measuring', unit='point'):
        columns = measure(point.config)
        text = json.dumps({'config': _plain(point), 'columns': columns})
        path = _path(point, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, text)
        found.append(columns)
    return found


def read(point: Point, folder: Path) -> Columns | None:
    """The columns that are kept of a point; None where there are none."""
    path = _path(point, folder)
    if not path.is_file():
        return None
    kept = json.loads(path.read_text('utf-8'))
    return kept['columns'] if kept['config'] == _plain(point) else None


def _path(point: Point, folder: Path) -> Path:
    return folder / FOLDER / f'{point.name}.json'


def _plain(point: Point):
    """The config as JSON gives it back."""
    return json.loads(json.dumps(files.plain(point.config.to_dict())))
