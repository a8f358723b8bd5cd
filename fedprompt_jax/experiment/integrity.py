"""Digests of files, by which a damaged or incomplete file is noticed.

A folder with a SHA256SUMS holds what was written to it, and all of it. The
format is that of `sha256sum -c SHA256SUMS`.
"""

from collections.abc import Iterable, Mapping
import hashlib
from pathlib import Path

from fedprompt_jax import digests, files

SUMS = 'SHA256SUMS'
# Files that a file system or a copy adds to a folder.
_FOREIGN = ('.nfs', '._', '.DS_Store', f'.{SUMS}')


def sha256(path: Path, size: int | None = None) -> str:
    """The digest (hex) of a file, or of its first `size` bytes."""
    if size is None:
        return digests.file_sha256(path)
    with path.open('rb') as file:
        total, left = hashlib.sha256(), size
        while left and (block := file.read(min(left, 1 << 20))):
            total.update(block)
            left -= len(block)
    return total.hexdigest()


def sums(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Path relative to `folder` -> sha256 (hex); folders are left out."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(paths)
        if path.is_file()
    }


def differing(folder: Path, expected: Mapping[str, str]) -> str:
    """What is wrong with the first file that differs from its sha256, or ''.

    Args:
      folder: where the files are.
      expected: path relative to it -> sha256 (hex).
    """
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file():
            return f'{name} is missing'
        if sha256(path) != digest:
            return f'{name} was changed: its sha256 differs'
    return ''


def seal(folder: Path) -> None:
    """Writes SHA256SUMS, whole or not at all, the last file of a folder."""
    lines = [f'{digest}  {name}\n' for name, digest in _all(folder).items()]
    files.write_whole(folder / SUMS, ''.join(lines), sync=True)


def fault(folder: Path) -> str:
    """What is wrong with a sealed folder, or '' where nothing is."""
    if not (folder / SUMS).is_file():
        return f'it has no {SUMS}, so that it was not saved completely'
    text = (folder / SUMS).read_text('utf-8', errors='replace')
    pairs = [line.partition('  ') for line in text.splitlines()]
    expected = {name: digest for digest, _, name in pairs}
    try:
        extra = sorted(_all(folder).keys() - expected.keys())
        wrong = differing(folder, expected)
    except (OSError, ValueError) as error:  # a name that no file can have
        return f'it cannot be read: {error}'
    return wrong or (f'{extra[0]} is not in {SUMS}' if extra else '')


def _all(folder: Path) -> dict[str, str]:
    paths = (p for p in folder.rglob('*') if not p.name.startswith(_FOREIGN))
    return sums(folder, (p for p in paths if p != folder / SUMS))
