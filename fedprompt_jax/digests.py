"""Hashes of large files, computed once for each state of a file.

What identifies a file is its content. Reading 16 GB at every start takes long,
so a hash is remembered with the path, size, modification time, inode and inode
change time that the file had. The last of them is the kernel's: copying with
`cp -p`, `rsync -t`, `tar` or `touch` sets the modification time at will, and
the change time never.
"""

from collections.abc import Iterable
import hashlib
import json
from pathlib import Path
import time

from fedprompt_jax import files

LARGE = 1 << 24  # bytes from which on a hash is worth remembering
# A file that changed so shortly ago may change again within the same tick.
SETTLED = 2.0  # seconds


def file_sha256(path: Path, cache_dir: Path | None = None) -> str:
    """The sha256 (hex) of a file's bytes.

    Args:
      path: of the file.
      cache_dir: hashes are remembered in cache_dir/digests; None: not at all.
    """
    before = _state(path)
    if cache_dir is None or path.stat().st_size < LARGE:
        return _hash(path)
    place = _place(path, cache_dir)
    known = _read(place)
    if known is not None and known['state'] == before:
        return known['sha256']
    digest = _hash(path)
    age = time.time() - path.stat().st_ctime
    if _state(path) == before and age > SETTLED:
        _write(place, {'state': before, 'sha256': digest})
    return digest


def fingerprint(paths: Iterable[Path]) -> str:
    """The sha256 (hex) of the files' names and contents, in their order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f'{path.name} {file_sha256(path)}\n'.encode())
    return total.hexdigest()


def _hash(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _state(path: Path) -> dict[str, str | int]:
    """All that the file system says of a file, as JSON has it."""
    stat = path.stat()
    return {
        'path': str(path.resolve()),
        'size': stat.st_size,
        'mtime_ns': stat.st_mtime_ns,
        'ctime_ns': stat.st_ctime_ns,
        'inode': stat.st_ino,
        'device': stat.st_dev,
    }


def _place(path: Path, cache_dir: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:20]
    return cache_dir / 'digests' / f'{name}.json'


def _read(place: Path) -> dict | None:
    """Reads the remembered digests; None where there are no sound ones."""
    try:
        known = json.loads(place.read_text('utf-8'))
        return known if {'state', 'sha256'} <= known.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _write(place: Path, known: dict) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(place, json.dumps(known), shared=True)
