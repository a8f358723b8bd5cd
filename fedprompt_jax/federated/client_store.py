"""What clients keep between rounds, outside of the server's state.

A round sees the rows of its cohort. Clients that were never seen cost nothing:
memory and files grow with the clients that were in a cohort.
"""

from collections.abc import Callable, Iterator
import itertools
from pathlib import Path
import tempfile
from typing import Any

import jax
import numpy as np

from fedprompt_jax.federated import client_rows
from fedprompt_jax.federated.client_rows import ClientRows

WASTE = 4  # a file is rewritten when less than 1 / WASTE of it is in use


class ClientStore:
    """A tree of arrays for each client that was in a cohort.

    Rows lie in memory up to a budget, and beyond it in files that are mapped
    into memory: those of checkpoints, and temporary ones of this process for
    what no checkpoint has yet. A checkpoint writes what changed since the last
    one. Nothing that is killed between two checkpoints leaves a trace.

    Attributes:
      row_bytes: bytes that one client keeps.
    """

    def __init__(self, like: Any, memory_bytes: float) -> None:
        """An empty store.

        Args:
          like: shapes and dtypes of what one client keeps, leaves [...].
          memory_bytes: most bytes of rows that are held in memory; the rows of
            one cohort are always held.
        """
        self._leaves, self._tree = jax.tree.flatten(like)
        self.row_bytes = sum(x.size * x.dtype.itemsize for x in self._leaves)
        self._budget = memory_bytes
        self._rows: dict[int, np.ndarray] = {}  # in memory, oldest use first
        self._places: dict[int, tuple[ClientRows, int]] = {}  # in files
        self._changed: set[int] = set()  # since the last checkpoint
        self._opened: dict[str, ClientRows] = {}
        self._in_use: dict[str, int] = {}  # file -> rows that are read from it
        self._files: dict[str, dict[str, str]] = {}  # of a checkpoint: digests
        self._temporary = tempfile.TemporaryDirectory(prefix='client_rows-')
        self._numbers = itertools.count()

    def __len__(self) -> int:
        """The number of clients that keep something."""
        return len(self._rows.keys() | self._places.keys())

    def __contains__(self, client: int) -> bool:
        """Whether the client keeps something: it was in a cohort."""
        return client in self._rows or client in self._places

    def take(self, clients: np.ndarray, default: Any) -> Any:
        """What the clients keep, as NumPy arrays [C, ...].

        Args:
          clients: int64 [C].
          default: what a client keeps that was never seen, leaves [...];
            None where all of them were.
        """
        never = None
        if default is not None:
            never = self._bytes([x[None] for x in jax.tree.leaves(default)])[0]
        rows = np.stack([self._row(int(c), never) for c in clients])
        return self._arrays(rows)

    def put(self, clients: np.ndarray, bank: Any) -> None:
        """Replaces what the clients keep.

        Args:
          clients: int64 [C], all different.
          bank: arrays of this process, leaves [C, ...].
        """
        rows = self._bytes(jax.tree.leaves(bank))
        for client, row in zip(clients.tolist(), rows, strict=True):
            self._rows.pop(client, None)  # it becomes the latest used
            self._rows[client] = row.copy()  # else all live as long as one
            self._changed.add(client)
        self._shrink()

    def save(
        self,
        folder: Path,
        name: str,
        once: Callable[[Callable[[], None]], None] = lambda write: write(),
    ) -> list[dict[str, Any]]:
        """Writes what changed since the last time.

        Args:
          folder: of all files of the store.
          name: of the new file, larger than those before.
          once: calls a function in one of the processes that share the folder,
            while the others wait.

        Returns:
          The files that hold all rows, oldest first: what `load` takes, from
          the process that writes.
        """
        wanted = sorted(self._changed | set(self._worn()))
        if wanted:
            ids = np.array(wanted, np.int64)
            self._files[name] = {}

            def write() -> None:
                rows = (self._row(client, None) for client in wanted)
                client_rows.write(folder, name, ids, rows, self.row_bytes)
                self._files[name] = client_rows.sha256(folder, name)

            once(write)
            self._open(folder, name)
            self._changed.clear()
            self._forget_unused()
            self._shrink()
        return [
            {'name': name, 'sha256': self._files[name]}
            for name in sorted(self._files)
        ]

    def load(self, folder: Path, files: list[dict]) -> None:
        """Restores the rows that `save` has named; the store is empty."""
        for entry in files:
            self._open(folder, entry['name'])
            self._files[entry['name']] = entry['sha256']

    def _open(self, folder: Path, name: str) -> None:
        file = ClientRows(folder, name)
        if file.rows.shape[1] != self.row_bytes:
            raise ValueError(
                f'{folder / name}: a client keeps {file.rows.shape[1]} bytes '
                f'there and {self.row_bytes} now.'
            )
        self._opened[name], self._in_use[name] = file, 0
        for place, client in enumerate(file.clients.tolist()):
            if client in self._places:
                self._in_use[self._places[client][0].name] -= 1
            self._places[client] = file, place
            self._in_use[name] += 1

    def _row(self, client: int, never: Any) -> np.ndarray:
        """The bytes [row_bytes] of a client."""
        if client in self._rows:
            self._rows[client] = self._rows.pop(client)
            return self._rows[client]
        if client in self._places:
            file, place = self._places[client]
            return file.rows[place]
        return never

    def _shrink(self) -> None:
        """Lets go of rows that are in files; writes some if that is too few."""
        most = int(self._budget // max(1, self.row_bytes))
        if len(self._rows) <= most:
            return
        for client in [c for c in self._rows if c not in self._changed]:
            if len(self._rows) <= most:
                return
            del self._rows[client]
        if len(self._rows) > most:
            folder = Path(self._temporary.name)
            name = f'temporary-{next(self._numbers)}'
            clients = [*self._rows]
            rows = (self._rows[client] for client in clients)
            ids = np.array(clients, np.int64)
            client_rows.write(folder, name, ids, rows, self.row_bytes)
            self._open(folder, name)
            self._rows.clear()
            self._forget_unused()

    def _worn(self) -> Iterator[int]:
        """Clients in files that are hardly in use: they are written again."""
        for name in self._files:
            clients = self._opened[name].clients
            if WASTE * self._in_use[name] < len(clients):
                yield from (
                    client
                    for client in clients.tolist()
                    if self._places[client][0].name == name
                )

    def _forget_unused(self) -> None:
        """Forgets files that no row is read from; temporary ones go."""
        for name in [name for name, rows in self._in_use.items() if not rows]:
            del self._in_use[name], self._opened[name]
            if self._files.pop(name, None) is None:
                for path in client_rows.paths(Path(self._temporary.name), name):
                    path.unlink()

    def _bytes(self, leaves: list) -> np.ndarray:
        """Leaves [C, ...] as bytes uint8 [C, row_bytes]."""
        parts = [
            np.ascontiguousarray(x).reshape(len(x), -1).view(np.uint8)
            for x in leaves
        ]
        return np.concatenate(parts, axis=1)

    def _arrays(self, rows: np.ndarray) -> Any:
        """The tree of bytes uint8 [C, row_bytes]: leaves [C, ...]."""
        ends = np.cumsum([x.size * x.dtype.itemsize for x in self._leaves])
        parts = np.split(rows, ends[:-1], axis=1)
        return jax.tree.unflatten(
            self._tree,
            [
                np.ascontiguousarray(part)
                .view(x.dtype)
                .reshape(len(rows), *x.shape)
                for part, x in zip(parts, self._leaves, strict=True)
            ],
        )
