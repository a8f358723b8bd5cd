"""The folder that a run leaves, and how it survives being killed.

Three files grow during a run. A checkpoint remembers their sizes, and a
restart cuts them back to it: what was written after the last checkpoint is
written again, the same.
"""

from collections.abc import Iterable
import csv
import fcntl
import io
import json
import math
import os
from pathlib import Path
from typing import Any
import weakref

from fedprompt_jax.experiment import processes

METRICS = 'metrics.jsonl'
TRADEOFF = 'tradeoff.csv'
PREDICTIONS = 'predictions.jsonl'
LOGS = (METRICS, TRADEOFF, PREDICTIONS)
TRADEOFF_FIELDS = (
    'run', 'prompt', 'seed', 'client', 'client_name', 'epoch', 'alpha',
    'lambda', 'split', 'rouge_l', 'exact_match', 'loss', 'n',
)  # fmt: skip

# Keys that may differ between the processes of a run: what lies at a path is
# known by its fingerprint.
PATH_KEYS = ('data.path', 'data.metadata', 'model.source')
# Keys that may differ between two starts of a run. Another mesh changes the
# order of sums, so that results agree up to rounding and not to the bit.
FREE_KEYS = (
    'mesh.data', 'mesh.model', 'mesh.fsdp', 'checkpoint.keep', *PATH_KEYS,
)  # fmt: skip


class RunFolder:
    """A run's folder; `path` exists after construction.

    Attributes:
      path: RUN.
      writes: whether this process may change it; else what writes does
        nothing.
      shows: whether it shows the run's progress.
    """

    def __init__(
        self, path: Path, config: dict, identity: dict, writes: bool = True
    ) -> None:
        """Opens the folder of a new run, or of this very run.

        Args:
          path: RUN.
          config: the config as nested dicts.
          identity: fingerprints of data and weights.
          writes: false in all processes of a run but the first.

        Raises:
          ValueError: the folder belongs to a run with another config or
            other data or weights; the differences are listed. Or a process
            is at work in it.
        """
        self.path, self.writes, self.shows = path, writes, writes
        path.mkdir(parents=True, exist_ok=True)
        if writes:
            weakref.finalize(self, os.close, _lock(path))
        now = {'config': config, 'fingerprints': identity}
        if (path / 'run.json').exists():
            _refuse_other(path, self._stored(), now)
        elif any((path / name).exists() for name in LOGS):
            raise ValueError(
                f'{path} holds the logs of some run but no run.json; give '
                '--workdir another folder.'
            )
        if writes and not self.info:
            write_json(path / 'config.json', config)

    def _stored(self) -> dict:
        config = json.loads((self.path / 'config.json').read_text('utf-8'))
        return {'config': config, 'fingerprints': self.info['fingerprints']}

    @property
    def info(self) -> dict[str, Any]:
        """run.json; empty before the first start has written it."""
        path = self.path / 'run.json'
        return json.loads(path.read_text('utf-8')) if path.exists() else {}

    def update_info(self, **values: Any) -> None:
        """Adds to run.json."""
        if self.writes:
            write_json(self.path / 'run.json', self.info | values)

    @property
    def finished(self) -> bool:
        return bool(self.info.get('complete'))

    def warn(self, warning: str) -> None:
        """Adds a warning to run.json, once."""
        warnings = self.info.get('warnings', [])
        if warning not in warnings:
            self.update_info(warnings=[*warnings, warning])

    def log(self, **record: Any) -> None:
        """Adds a line to metrics.jsonl."""
        self._append(METRICS, json.dumps(_plain(record)) + '\n')

    def metrics(self) -> list[dict]:
        """The lines of metrics.jsonl."""
        path = self.path / METRICS
        lines = path.read_text('utf-8').splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def add_scores(self, rows: Iterable[dict], predictions: Iterable[dict]):
        """Adds rows to tradeoff.csv and lines to predictions.jsonl."""
        names = dict(zip(TRADEOFF_FIELDS, TRADEOFF_FIELDS, strict=True))
        header = [] if self.log_sizes()[TRADEOFF] else [names]
        self._append(TRADEOFF, ''.join(map(_csv_line, [*header, *rows])))
        lines = (json.dumps(_plain(p), ensure_ascii=False) for p in predictions)
        self._append(PREDICTIONS, ''.join(line + '\n' for line in lines))

    def _append(self, name: str, text: str) -> None:
        if not self.writes:
            return
        with open(self.path / name, 'a', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # before the checkpoint that counts on it

    def log_sizes(self) -> dict[str, int]:
        """Bytes of each log, as a checkpoint remembers them."""
        paths = {name: self.path / name for name in LOGS}
        return {
            n: p.stat().st_size if p.exists() else 0 for n, p in paths.items()
        }

    def cut_logs(self, sizes: dict[str, int]) -> None:
        """Takes the logs back to the sizes that a checkpoint remembers.

        Raises:
          ValueError: a log is shorter than that: somebody changed it.
        """
        for name, size in sizes.items() if self.writes else ():
            have = self.log_sizes()[name]
            if have < size:
                raise ValueError(
                    f'{self.path / name} has {have} bytes, but the checkpoint '
                    f'was made when it had {size}; restore the file or start '
                    'in another --workdir.'
                )
            if have:
                os.truncate(self.path / name, size)


def _csv_line(row: dict) -> str:
    """A row of tradeoff.csv; names may hold commas, quotes and line ends."""
    text = io.StringIO()
    # csv quotes a carriage return only where its own lines end in one.
    csv.DictWriter(text, TRADEOFF_FIELDS, lineterminator='\r\n').writerow(row)
    return text.getvalue().removesuffix('\r\n') + '\n'


def _lock(folder: Path) -> int:
    """Locks a folder until the descriptor is closed or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(
            f'Another process is at work in {folder}; wait for it, or give '
            '--workdir another folder.'
        ) from None
    except OSError:  # a file system without locks
        pass
    return descriptor


def write_json(path: Path, value: Any) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f'.{path.name}.new')
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False)
    temporary.write_text(text + '\n', 'utf-8')
    os.replace(temporary, path)


def _plain(value: Any) -> Any:
    """For JSON: arrays as numbers, NaN as null, tuples as lists."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, 'item'):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def refuse_other_processes(config: dict, identity: dict) -> None:
    """Raises ValueError, in all processes, where one is of another run.

    Args:
      config: this process's, as nested dicts.
      identity: fingerprints of its data and weights.
    """
    now = _plain({'config': config, 'fingerprints': identity})
    first, *others = processes.texts(json.dumps(now))
    for number, text in enumerate(others, start=1):
        both = json.loads(first), json.loads(text)
        lines = _differences(*both, PATH_KEYS, ('in the first', 'there'))
        if lines:
            told = ''.join(f'\n  {line}' for line in lines)
            raise ValueError(
                f'Process {number} is of another run than the first; nothing '
                f'was changed. Start all with the same flags and data:{told}'
            )


def _refuse_other(path: Path, before: dict, now: dict) -> None:
    lines = _differences(before, now)
    if lines:
        told = ''.join(f'\n  {line}' for line in lines)
        raise ValueError(
            f'{path} belongs to another run; nothing was changed. Give '
            f'--workdir another folder, or undo:{told}'
        )


def other_config(path: Path, config: dict) -> list[str]:
    """What differs between a run's config and this one, a line a key.

    Args:
      path: RUN, which holds a config.json.
      config: as nested dicts.
    """
    stored = json.loads((path / 'config.json').read_text('utf-8'))
    return _differences({'config': stored}, {'config': config})


def _differences(
    before: dict,
    now: dict,
    free_keys: Iterable[str] = FREE_KEYS,
    names: tuple[str, str] = ('there', 'now'),
) -> list[str]:
    """All of them, if there is one that a run does not allow; else none."""
    old, new = _flat(_plain(before)), _flat(_plain(now))
    free = {f'config.{key}' for key in free_keys}
    changed = [
        key
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if not set(changed) - free:
        return []
    return [
        f'{key}: {old.get(key, "absent")!r} {names[0]}, '
        f'{new.get(key, "absent")!r} {names[1]}'
        for key in changed
    ]


def _flat(tree: dict, prefix: str = '') -> dict[str, Any]:
    """Nested dicts as one, its keys dotted."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f'{prefix}{key}.')
        else:
            flat[f'{prefix}{key}'] = value
    return flat
