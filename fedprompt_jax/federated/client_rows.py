"""Files of what clients keep: some clients, and a row of bytes of each.

A file is two NumPy arrays, NAME.clients.npy int64 [n] and NAME.rows.npy
uint8 [n, bytes], written once and then read through a memory map.
"""

from collections.abc import Iterable
import os
from pathlib import Path

import numpy as np

from fedprompt_jax import digests

PARTS = ('clients', 'rows')


def paths(folder: Path, name: str) -> list[Path]:
    """The files of a name."""
    return [folder / f'{name}.{part}.npy' for part in PARTS]


def write(
    folder: Path,
    name: str,
    clients: np.ndarray,
    rows: Iterable[np.ndarray],
    row_bytes: int,
) -> None:
    """Writes clients and their rows; each file is there whole or not at all.

    Args:
      folder: is made if it is not there.
      name: of the files.
      clients: int64 [n].
      rows: n rows, uint8 [row_bytes], one after the other: all of them need
        not fit in memory.
      row_bytes: of one row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids, table = paths(folder, name)
    new = table.with_name(f'.{table.name}.new')
    shape = (len(clients), row_bytes)
    array = np.lib.format.open_memmap(new, 'w+', np.uint8, shape)
    for place, row in enumerate(rows):
        array[place] = row
    array.flush()
    del array
    with new.open('rb') as file:
        os.fsync(file.fileno())
    np.save(ids, clients)
    os.replace(new, table)


class ClientRows:
    """The rows in a file, by their places.

    Attributes:
      name: of the files.
      clients: int64 [n].
      rows: uint8 [n, bytes], a memory map.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        ids, table = paths(folder, name)
        self.clients = np.load(ids)
        self.rows = np.load(table, mmap_mode='r')


def sha256(folder: Path, name: str) -> dict[str, str]:
    """File name -> digest (hex) of the files of a name."""
    return {p.name: digests.file_sha256(p) for p in paths(folder, name)}


def fault(folder: Path, sums: dict[str, str]) -> str:
    """Why the first of these files is not the one that was written, or ''."""
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            return f'{path} is missing'
        if digests.file_sha256(path) != expected:
            return f'{path} was changed: its sha256 differs'
    return ''
