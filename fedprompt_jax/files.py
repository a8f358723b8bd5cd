"""Files and folders that appear whole or not at all; which files are data."""

from collections.abc import Iterator
import contextlib
import json
import math
import os
from pathlib import Path
import shutil
import socket
from typing import Any
import uuid

# Folders that archivers add, whose files are no data.
_NO_DATA = ('__MACOSX',)


def write_whole(
    path: Path,
    content: bytes | str,
    *,
    sync: bool = False,
    shared: bool = False,
) -> None:
    """Writes a file whole or not at all, in the place of an older one.

    A killed process leaves at most the hidden file .NAME.new beside it, which
    the next call overwrites.

    Args:
      path: the file to write; its folder exists.
      content: its bytes, or its text, which is written as UTF-8.
      sync: whether the content is on the disk before the file has its name,
        so that a machine that loses power leaves no empty file either.
      shared: whether several processes may write the file at the same time;
        each then has another hidden file.
    """
    unique = f'-{uuid.uuid4().hex}' if shared else ''
    temporary = path.with_name(f'.{path.name}{unique}.new')
    with temporary.open('wb') as file:
        file.write(content.encode() if isinstance(content, str) else content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as a JSON file, whole or not at all; see plain."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    write_whole(path, text + '\n')


def plain(value: Any) -> Any:
    """Replaces what JSON does not have in a value, at any depth.

    Scalars of NumPy and JAX become Python's numbers, numbers that are not
    finite None, and tuples lists.

        >>> plain({'loss': float('nan'), 'mesh': (4, 2)})
        {'loss': None, 'mesh': [4, 2]}
    """
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, 'item'):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder, which becomes `path` if nothing is raised.

    If another process has made `path` meanwhile, its folder stays. Temporary
    folders of killed processes of this machine are removed.

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
    """Removes temporary folders whose process no longer runs."""
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

    paths = folder.glob(pattern)
    return sorted(f for f in paths if is_data(f) and f.is_file())
