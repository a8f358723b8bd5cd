"""Folders that appear whole or not at all; hashes of files."""

from collections.abc import Iterable, Iterator
import contextlib
import hashlib
import os
from pathlib import Path
import shutil
import socket
import uuid


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
        with path.open('rb') as stream:
            digest = hashlib.file_digest(stream, 'sha256').hexdigest()
        total.update(f'{path.name} {digest}\n'.encode())
    return total.hexdigest()


def not_the_file(path: Path) -> str | None:
    """What a file is where something else lies in its place; None if not.

    The clause continues a sentence that starts with the file's name. Reads
    512 bytes.
    """
    with path.open('rb') as stream:
        start = stream.read(512)
    if not start:
        return 'is empty; download it again'
    if start.startswith(b'version https://git-lfs.github.com/spec/'):
        return (
            'is a Git LFS pointer, not the file itself; fetch it with '
            '"git lfs pull"'
        )
    text = start.lstrip(b'\xef\xbb\xbf \t\r\n').lower()
    if text.startswith((b'<!doctype html', b'<html')):
        return (
            'is an HTML page (a login or error page was saved in its place); '
            'download it again'
        )
    return None
