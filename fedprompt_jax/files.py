"""Folders that appear whole or not at all; files of data and their hashes."""

from collections.abc import Iterable, Iterator
import contextlib
import hashlib
import os
from pathlib import Path
import shutil
import socket
import uuid

from fedprompt_jax import digests

# Folders that archivers add, whose files are no data.
_NO_DATA = ('__MACOSX',)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which becomes `path` if nothing is raised.

    Where another process has made `path` meanwhile, that one stays. What
    killed processes of this machine left behind is removed.

    Args:
      path: the folder to make; its parents are made too.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    name = f'.building-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}'
    temporary = path.parent / name
    temporary.mkdir()
    try:
        yield temporary
        try:
            os.replace(temporary, path)
        except OSError:  # a folder with files in it is not replaced
            if not path.exists():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep(folder: Path) -> None:
    for left in folder.glob(f'.building-{socket.gethostname()}-*-*'):
        if not _alive(int(left.name.split('-')[-2])):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def fingerprint(paths: Iterable[Path]) -> str:
    """The sha256 (hex) of the files' names and contents, in their order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f'{path.name} {digests.file_sha256(path)}\n'.encode())
    return total.hexdigest()


def visible(folder: Path, pattern: str) -> list[Path]:
    """Returns a folder's files of a pattern, sorted, without hidden ones.

    A file is hidden if its name, or that of a folder between it and `folder`,
    begins with a dot: editors, notebooks, caches and Macs leave such copies
    beside the data. `folder` itself may be hidden or lie in a hidden one.

    Args:
      folder: where to look.
      pattern: a glob relative to it, such as '**/*.csv' for all below it.
    """

    def is_data(file: Path) -> bool:
        parts = file.relative_to(folder).parts
        return not any(p.startswith('.') or p in _NO_DATA for p in parts)

    found = folder.glob(pattern)
    return sorted(f for f in found if is_data(f) and f.is_file())
