"""Files that are what they should be: not cut, not a pointer, not a page.

Downloads and copies leave pointers of Git LFS, pages that ask to log in, and
files without content in the place of a file.
"""

from collections.abc import Iterable
import json
from pathlib import Path
from typing import Any

_LFS = b'version https://git-lfs.github.com/spec/'
_HTML = (b'<!doctype html', b'<html')
_BLANK = b'\xef\xbb\xbf \t\r\n'


def impostor(path: Path) -> tuple[str, str] | None:
    """Says what lies in a file's place, and the fix; None if it is a file.

    The first clause continues a sentence that starts with the file's name.
    Reads 512 bytes.
    """
    with path.open('rb') as stream:
        head = stream.read(512)
    if not head:
        return 'is empty', 'download it again'
    if head.startswith(_LFS):
        return (
            'is a Git LFS pointer, not the file itself',
            'fetch it with "git lfs pull"',
        )
    if head.lstrip(_BLANK).lower().startswith(_HTML):
        return (
            'is an HTML page (a login or error page was saved in its place)',
            'download it again',
        )
    return None


def not_the_file(path: Path) -> str | None:
    """Both clauses of `impostor` as one; None where it may be the file."""
    clauses = impostor(path)
    return clauses and '; '.join(clauses)


def refuse_impostors(paths: Iterable[Path]) -> None:
    """Raises ValueError where a pointer or a page lies in place of data.

    (An empty file of data is for its reader to judge.)
    """
    for path in paths:
        if path.stat().st_size:
            require_content(path)


def require_content(path: Path) -> None:
    """Raises ValueError where something else lies in a file's place."""
    if (reason := not_the_file(path)) is not None:
        raise ValueError(f'{path} {reason}.')


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      ValueError: the file is damaged, or holds something else; it names the
        file and the fix.
    """
    require_content(path)
    try:
        value = json.loads(path.read_bytes().decode('utf-8-sig'))
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}: byte {error.start} is not UTF-8; download it again.'
        ) from error
    except json.JSONDecodeError as error:
        raise ValueError(
            f'{path} is not JSON (line {error.lineno}, column {error.colno}: '
            f'{error.msg}); download it again.'
        ) from error
    except RecursionError as error:
        raise ValueError(
            f'{path} is nested too deeply to be read; download it again.'
        ) from error
    if not isinstance(value, dict):
        raise ValueError(
            f'{path} must hold a JSON object, not a {type(value).__name__}; '
            'download it again.'
        )
    return value
