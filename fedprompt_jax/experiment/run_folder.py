"""The folder that a run leaves, and how it survives being killed.

Three files grow during a run. A checkpoint records their sizes and digests,
and a restart cuts them back to these sizes: what was written after the last
checkpoint is computed and written again. Once a run is complete, run.json has
the digests of its files.
"""

from collections.abc import Callable, Iterable
import csv
import datetime
import fcntl
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any
import weakref

from fedprompt_jax import intact
from fedprompt_jax.experiment import continuing, integrity, processes
from fedprompt_jax.files import plain, write_json
from fedprompt_jax.report.records import (
    METRICS,
    PREDICTIONS,
    TRADEOFF,
    TRADEOFF_FIELDS,
    read_metrics,
)

LOGS = (METRICS, TRADEOFF, PREDICTIONS)
# Keys that may differ between the processes of a run: fingerprints identify
# what lies at a path.
PATH_KEYS = ('data.path', 'data.metadata', 'model.source')
# Keys that name trackers, which get the lines of metrics.jsonl and change no
# result.
LOG_KEYS = ('log.tensorboard', 'log.wandb')
# Keys that say how something is computed: sums have another order, so that
# results agree up to rounding and not to the bit.
ROUNDING_KEYS = (
    'model.attention', 'model.remat', 'model.remat_mlp', 'packing.scan_steps',
    'mesh.data', 'mesh.model', 'mesh.fsdp',
)  # fmt: skip
# Keys that may differ between two starts of a run.
FREE_KEYS = (
    'checkpoint.keep', 'checkpoint.every', 'client_store.memory_gb',
    *ROUNDING_KEYS, *LOG_KEYS, *PATH_KEYS,
)  # fmt: skip


class RunFolder:
    """A run's folder; `path` exists after construction.

    Attributes:
      path: RUN, the folder.
      writes: whether this process writes files; in others, methods that write
        have no effect.
      shows: whether this process shows the run's progress.
      config: the config of this start, as nested dicts.
      changes: keys with which the run can continue though they differ from
        the last start's config: key -> (before, now).
      followers: functions that get every line of metrics.jsonl once it is
        written.
    """

    def __init__(
        self, path: Path, config: dict, identity: dict, writes: bool = True
    ) -> None:
        """Opens the folder of a new run, or of this very run.

        Args:
          path: RUN, the folder; it is made if it does not exist.
          config: the config as nested dicts.
          identity: fingerprints of data and weights.
          writes: whether this process writes files, which the first process
            of a run does.

        Raises:
          ValueError: the folder belongs to a run with another config, other
            data or other weights (the differences are listed); another process
            is using it; or its JSON files are damaged.
        """
        self.path, self.writes, self.shows = path, writes, writes
        self.config = plain(config)
        self.changes: continuing.Changes = {}
        self.followers: list[Callable[[dict], None]] = []
        path.mkdir(parents=True, exist_ok=True)
        if writes:
            weakref.finalize(self, os.close, _lock(path))
        now = {'config': config, 'fingerprints': identity}
        if (path / 'run.json').exists():
            self.changes = _refuse_other(path, self._stored(), now)
        elif any((path / name).exists() for name in LOGS):
            raise ValueError(
                f'{path} holds the logs of some run but no run.json; give '
                '--workdir another folder.'
            )
        if writes and not self.info:
            write_json(path / 'config.json', config)

    def _stored(self) -> dict:
        """The config and the fingerprints of the run's last start."""
        config = read_object(self.path / 'config.json')
        identity = self.info.get('fingerprints')
        if not isinstance(identity, dict):
            raise ValueError(
                f"{self.path / 'run.json'} lacks the object 'fingerprints'; "
                'restore the file from a copy, or give --workdir another '
                'folder.'
            )
        return {'config': config, 'fingerprints': identity}

    @property
    def info(self) -> dict[str, Any]:
        """run.json; empty before the first start has written it."""
        path = self.path / 'run.json'
        return read_object(path) if path.exists() else {}

    def update_info(self, drop: Iterable[str] = (), **values: Any) -> None:
        """Changes run.json.

        Args:
          drop: keys to remove.
          **values: keys to add or to replace.
        """
        if self.writes:
            rest = {k: v for k, v in self.info.items() if k not in drop}
            write_json(self.path / 'run.json', rest | values)

    def record(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file of the run, such as 'messages.json'."""
        if self.writes:
            write_json(self.path / name, content)

    def complete(self) -> None:
        """Marks the run as complete in run.json, with digests of its files.

        Reports and figures have no digest: they can be drawn again.
        """
        if self.writes:
            seal(self.path, self.info)

    def check_complete(self) -> None:
        """Raises ValueError if a file of a complete run was changed."""
        fault = changed_file(self.path)
        if fault:
            raise ValueError(
                f'{self.path} is a complete run of which {fault}. Restore the '
                'file from a copy, or run it again with another --workdir.'
            )

    def accept_changes(self) -> None:
        """Writes the config of this start, with which the run continues."""
        if self.writes:
            write_json(self.path / 'config.json', self.config)
        self.changes = {}

    @property
    def finished(self) -> bool:
        """Whether run.json says that the run is complete."""
        return bool(self.info.get('complete'))

    def warn(self, warning: str) -> None:
        """Adds a warning to run.json unless it is there already."""
        warnings = self.info.get('warnings', [])
        if warning not in warnings:
            self.update_info(warnings=[*warnings, warning])

    def log(self, **record: Any) -> None:
        """Adds a line to metrics.jsonl."""
        line = plain(record)
        self._append(METRICS, json.dumps(line) + '\n')
        for follow in self.followers:
            follow(line)

    def metrics(self) -> list[dict]:
        """The lines of metrics.jsonl, null as NaN."""
        return read_metrics(self.path)

    def add_scores(
        self, rows: Iterable[dict], predictions: Iterable[dict]
    ) -> None:
        """Adds rows to tradeoff.csv and lines to predictions.jsonl."""
        names = dict(zip(TRADEOFF_FIELDS, TRADEOFF_FIELDS, strict=True))
        header = [] if self.log_sizes()[TRADEOFF] else [names]
        self._append(TRADEOFF, ''.join(map(_csv_line, [*header, *rows])))
        lines = (json.dumps(plain(p), ensure_ascii=False) for p in predictions)
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

    def notes(self) -> dict[str, Any]:
        """The logs' sizes in bytes and digests, for a checkpoint.

        {} in a process that does not write.
        """
        if not self.writes:
            return {}
        sizes = self.log_sizes()
        digests = {
            name: integrity.sha256(self.path / name, size)
            for name, size in sizes.items()
            if size
        }
        return {'log_sizes': sizes, 'log_sha256': digests}

    def check_logs(self, notes: dict[str, Any]) -> None:
        """Raises ValueError if a log differs from what a checkpoint recorded.

        What was added to the log since then is no fault.

        Args:
          notes: those of the checkpoint; see `notes`.
        """
        for name, size in notes['log_sizes'].items():
            path, have = self.path / name, self.log_sizes()[name]
            if have < size:
                raise ValueError(
                    f'{path} has {have} bytes, but the checkpoint was made '
                    f'when it had {size}; restore the file or start in '
                    'another --workdir.'
                )
            digest = notes['log_sha256'].get(name)
            if size and integrity.sha256(path, size) != digest:
                raise ValueError(
                    f'{path} was changed: its first {size} bytes are not '
                    'those that it had when the checkpoint was made; restore '
                    'the file from a copy, or start in another --workdir.'
                )

    def cut_logs(self, sizes: dict[str, int]) -> None:
        """Truncates the logs to the sizes that a checkpoint recorded.

        Args:
          sizes: name of a log -> bytes.

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


def seal(path: Path, info: dict[str, Any]) -> None:
    """Writes run.json of a complete run, with digests of the other files.

    Args:
      path: RUN.
      info: what run.json holds besides.
    """
    paths = [path / name for name in LOGS]
    # config.json, and what was recorded; run.json has its own digest.
    paths += (p for p in sorted(path.glob('*.json')) if p.name != 'run.json')
    paths += (path / 'prompts').rglob('*')
    info = info | {'complete': True}
    info['sha256'] = integrity.sums(path, paths)
    info['sha256']['run.json'] = _digest(info)
    write_json(path / 'run.json', info)


def changed_file(path: Path) -> str:
    """What is wrong with the first changed file of a complete run, or ''.

    Args:
      path: RUN. A run that an older version completed has no digests: its
        files are not checked.
    """
    info = read_object(path / 'run.json')
    sums = info.get('sha256')
    if sums is None:
        return ''
    try:
        digest = sums['run.json']
        if digest != _digest(info | {'sha256': sums}):
            return 'run.json was changed'
        others = {k: v for k, v in sums.items() if k != 'run.json'}
        return integrity.differing(path, others)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"the part 'sha256' of run.json is damaged ({error})"


def _digest(info: dict[str, Any]) -> str:
    """The sha256 (hex) of run.json without its own digest."""
    others = {k: v for k, v in info['sha256'].items() if k != 'run.json'}
    text = json.dumps(plain(info | {'sha256': others}), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file of a run holds.

    Raises:
      ValueError: the file is missing, cannot be read or holds something else.
    """
    fault = 'holds JSON, but no object'
    try:
        value = json.loads(path.read_text('utf-8'))
        if isinstance(value, dict):
            return value
    except FileNotFoundError:
        fault = 'is missing'
    except ValueError as error:
        faults = intact.impostor(path)
        fault = faults[0] if faults else f'is damaged ({error})'
    raise ValueError(
        f'{path} {fault}; restore the file from a copy, or give --workdir '
        'another folder.'
    )


def _lock(folder: Path) -> int:
    """Locks a folder; returns the descriptor that holds the lock.

    The lock ends when the descriptor is closed or the process ends.

    Raises:
      ValueError: another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(
            f'Another process is using {folder}; wait for it, or give '
            '--workdir another folder.'
        ) from None
    except OSError:  # a file system without locks
        pass
    return descriptor


def now() -> str:
    """The time in UTC, in ISO 8601 to the second, as run.json has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


def refuse_other_processes(config: dict, identity: dict) -> None:
    """Raises ValueError, in all processes, if one computes another run.

    Args:
      config: the config of this process, as nested dicts.
      identity: fingerprints of its data and weights.
    """
    now = plain({'config': config, 'fingerprints': identity})
    first, *others = processes.texts(json.dumps(now))
    for number, text in enumerate(others, start=1):
        both = json.loads(first), json.loads(text)
        free = (*PATH_KEYS, *LOG_KEYS)
        lines = _differences(*both, free, ('in the first', 'there'))
        if lines:
            message = ''.join(f'\n  {line}' for line in lines)
            raise ValueError(
                f'Process {number} is of another run than the first; nothing '
                f'was changed. Start all with the same flags and data:{message}'
            )


def _refuse_other(path: Path, before: dict, now: dict) -> continuing.Changes:
    """Returns the changes with which a run can continue.

    Args:
      path: RUN.
      before: config and fingerprints of the last start.
      now: those of this start.

    Raises:
      ValueError: there are changes with which it cannot.
    """
    lines = _differences(before, now, (*FREE_KEYS, *continuing.KEYS))
    if lines:
        message = ''.join(f'\n  {line}' for line in lines)
        raise ValueError(
            f'{path} belongs to another run; nothing was changed. Give '
            f'--workdir another folder, or undo:{message}{_explained(lines)}'
        )
    changes = _changes(before['config'], now['config'])
    faults = continuing.faults(changes, now['config'], *_done(path))
    if faults:
        raise ValueError(
            f'{path} cannot continue: {"; ".join(faults)}, or give --workdir '
            'another folder. Nothing was changed.'
        )
    return changes


def _changes(before: dict, now: dict) -> continuing.Changes:
    """Keys that differ, from which a run can continue: key -> (before, now)."""
    old, new = _flat(plain(before)), _flat(plain(now))
    return {
        key: (old.get(key), new.get(key))
        for key in continuing.KEYS
        if key not in _unread(old, new)
        and not _same(old.get(key), new.get(key))
    }


def _unread(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
    """Keys that neither of two flat configs reads: they differ in nothing."""
    unread: set[str] = set()
    if not (old.get('measures') or new.get('measures')):
        unread |= set(continuing.OF_MEASURES)
    method = 'personalization.method'
    if 'router' not in (old.get(method), new.get(method)):
        own = 'personalization.router.'
        unread |= {key for key in {*old, *new} if key.startswith(own)}
    return unread


def _same(before: Any, now: Any) -> bool:
    """Whether a key has not changed; None is one that a config does not have.

    A key that an older version did not have, and that is off, changes nothing.
    """
    if before is None or now is None:
        return not before and not now
    return before == now


def _done(path: Path) -> tuple[int, int]:
    """Rounds and epochs done at the latest checkpoints on disk; 0 for none."""
    rounds, epochs = (
        max(
            (int(p.name) for p in folder.iterdir() if p.name.isdecimal())
            if (folder := path / 'checkpoints' / stage).is_dir()
            else (),
            default=0,
        )
        for stage in ('train', 'personalize')
    )
    return rounds, epochs


# Key of a fingerprint -> what has changed if it differs.
_FINGERPRINTS = {
    'tokens': 'the data at config.data.path (their rows, in their order), the '
    'tokenizer, or how texts become tokens',
    'clients': 'who trains, validates and is scored on what: lists of splits, '
    'or the version of fedprompt_jax or NumPy',
    'weights': "a file of the model's folder",
}


def _explained(lines: list[str]) -> str:
    """Explains what a differing fingerprint means."""
    changed = [
        f'\n  ({key}: {words} changed)'
        for key, words in _FINGERPRINTS.items()
        if any(line.startswith(f'fingerprints.{key}:') for line in lines)
    ]
    return ''.join(changed)


def other_config(path: Path, config: dict) -> list[str]:
    """Why a run cannot continue with this config, a line a key; [] if it can.

    Args:
      path: RUN, which holds a config.json.
      config: as nested dicts.
    """
    stored = read_object(path / 'config.json')
    lines = _differences(
        {'config': stored}, {'config': config}, (*FREE_KEYS, *continuing.KEYS)
    )
    changes = _changes(stored, config)
    return lines or continuing.faults(changes, config, *_done(path))


def continuation(path: Path, config: dict) -> str:
    """Says how a run would continue with a changed config; else ''.

    Args:
      path: RUN, of which other_config finds nothing.
      config: as nested dicts.
    """
    changes = _changes(read_object(path / 'config.json'), config)
    return continuing.describe(changes) if changes else ''


def _differences(
    before: dict,
    now: dict,
    free_keys: Iterable[str] = FREE_KEYS,
    names: tuple[str, str] = ('there', 'now'),
) -> list[str]:
    """Lines that say where two configs differ; [] if all differences are free.

    One difference that is not free is enough to list all of them.

    Args:
      before: {'config': ..., 'fingerprints': ...}, nested.
      now: the same of this start.
      free_keys: keys of the config that may differ.
      names: words for the values before and now.
    """
    old, new = _flat(plain(before)), _flat(plain(now))
    free = {f'config.{key}' for key in free_keys}
    configs = (_flat(plain(x['config'])) for x in (before, now))
    unread = {f'config.{key}' for key in _unread(*configs)}
    changed = [
        key
        for key in sorted((old.keys() | new.keys()) - unread)
        if not _same(old.get(key), new.get(key))
    ]
    if not set(changed) - free:
        return []
    return [
        f'{key}: {old.get(key, "absent")!r} {names[0]}, '
        f'{new.get(key, "absent")!r} {names[1]}'
        for key in changed
    ]


def _flat(tree: dict, prefix: str = '') -> dict[str, Any]:
    """Flattens nested dicts: {'a': {'b': 1}} becomes {'a.b': 1}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f'{prefix}{key}.')
        else:
            flat[f'{prefix}{key}'] = value
    return flat
