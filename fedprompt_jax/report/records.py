"""The records that a run leaves, read back: scores and metrics."""

from collections.abc import Callable, Iterator
import csv
import json
import math
from pathlib import Path
from typing import Any

# Files of a run folder.
CONFIG = 'config.json'
INFO = 'run.json'
METRICS = 'metrics.jsonl'
TRADEOFF = 'tradeoff.csv'
PREDICTIONS = 'predictions.jsonl'
TRADEOFF_FIELDS = (
    'run', 'prompt', 'seed', 'client', 'client_name', 'epoch', 'alpha',
    'lambda', 'split', 'rouge_l', 'exact_match', 'loss', 'n', 'examples',
)  # fmt: skip

Row = dict[str, Any]  # of tradeoff.csv, or a line of metrics.jsonl
SPLITS = ('local', 'global')
# Whose examples a score is over -> in words.
EXAMPLES = {
    'held_out_client': "each held-out client's own examples",
    'training_client': "each training client's own held-out examples",
    'official_part': "each training client's part of the official split",
    'evaluated_clients': 'one set drawn evenly from all evaluated clients',
    'validation_split': 'examples of the official validation split',
    'test_split': 'examples of the official test split',
}
# Label -> name of the prompts that every run scores, in the order of its
# table. Other labels may follow; they serve as names themselves.
PROMPTS = {
    'bare': 'bare model',
    'initial': 'initial prompt',
    'global': 'global prompt',
    'personalized': 'personalized prompt',
    'averaged': 'averaged',
}


def read_tradeoff(folder: str | Path) -> list[Row]:
    """The rows of RUN/tradeoff.csv: one for a client, split and prompt.

    Scores are floats (0..100; loss in nats; NaN for a dropped client); seed,
    client, epoch and n are ints. client_name is '' where the data do not name
    clients. Older versions had neither this column nor `examples`, which says
    whose examples the scores are over (a key of EXAMPLES): both are '' then.

    Raises:
      ValueError: the file or a column is missing, or a value is malformed.
    """
    path = Path(folder) / TRADEOFF
    if not path.is_file():
        raise ValueError(
            f'{path} does not exist; a run writes it once the prompts are '
            'scored in stage 2 (personalization).'
        )
    with path.open(encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file)
        missing = [c for c in _TYPES if c not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f'{path} lacks the column(s) {missing}.')
        return [_typed(path, reader.line_num, row) for row in reader]


def read_metrics(folder: str | Path) -> list[Row]:
    """The lines of RUN/metrics.jsonl, null as NaN; [] if there is no file.

    An incomplete last line is left out.

    Raises:
      ValueError: another line is not a JSON object.
    """
    path = Path(folder) / METRICS
    lines: list[Row] = []
    if not path.is_file():
        return lines
    for i, text in enumerate(path.read_text('utf-8').splitlines(True), 1):
        try:
            line = dict(json.loads(text))
        except (ValueError, TypeError) as error:
            if not text.endswith('\n'):
                break  # a killed run may stop in the middle of its last line
            raise ValueError(
                f'{path}:{i} is no JSON object: {text!r}'
            ) from error
        lines.append({k: math.nan if v is None else v for k, v in line.items()})
    return lines


def read_predictions(folder: str | Path) -> Iterator[dict[str, Any]]:
    """Yields the lines of RUN/predictions.jsonl; none where there is none."""
    path = Path(folder) / PREDICTIONS
    if path.is_file():
        with path.open(encoding='utf-8') as file:
            yield from map(json.loads, file)


def read_json(folder: str | Path, name: str) -> dict[str, Any]:
    """A JSON object of the run folder; {} where there is no such file.

    Raises:
      ValueError: the file holds something else.
    """
    path = Path(folder) / name
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text('utf-8')))
    except (ValueError, TypeError) as error:
        raise ValueError(f'{path} holds no JSON object: {error}') from error


def _float(text: str) -> float:
    return float(text or 'nan')


_TYPES: dict[str, Callable[[str], Any]] = {
    'run': str,
    'prompt': str,
    'seed': int,
    'client': int,
    'epoch': int,
    'alpha': _float,
    'lambda': _float,
    'split': str,
    'rouge_l': _float,
    'exact_match': _float,
    'loss': _float,
    'n': int,
}


def _typed(path: Path, line: int, row: dict[str, str]) -> Row:
    """A row of tradeoff.csv with its values parsed; see _TYPES."""
    typed: Row = {k: row.get(k) or '' for k in ('client_name', 'examples')}
    for column, kind in _TYPES.items():
        text = row[column]
        try:
            typed[column] = kind(text)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f'{path}:{line}: {column}={text!r} must be a number.'
            ) from error
    if typed['split'] not in SPLITS:
        raise ValueError(
            f'{path}:{line}: split={typed["split"]!r} must be one of '
            f'{", ".join(SPLITS)}.'
        )
    if typed['examples'] and typed['examples'] not in EXAMPLES:
        raise ValueError(
            f'{path}:{line}: examples={typed["examples"]!r} must be one of '
            f'{", ".join(EXAMPLES)}.'
        )
    if not typed['prompt']:
        raise ValueError(f'{path}:{line}: prompt must not be empty.')
    return typed
