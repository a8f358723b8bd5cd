"""The state that each client of a run keeps between its rounds.

A cohort's rows are taken out before a round and stored after it. The files lie
in RUN/checkpoints/clients; the notes of a checkpoint of stage 1 name those that
it needs, so that a killed run resumes with what the clients kept at that time.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from fedprompt_jax.bank.owners import finite_owners, where
from fedprompt_jax.experiment import checkpoint, processes
from fedprompt_jax.experiment.build import Experiment
from fedprompt_jax.federated import client_rows
from fedprompt_jax.federated.client_store import ClientStore
from fedprompt_jax.mesh import fetch

FOLDER = 'clients'  # beside the folders of the stages
NOTE = 'clients'  # the key of a checkpoint's notes


class Clients:
    """The rows of a run's clients, placed on devices; see ClientStore."""

    def __init__(self, experiment: Experiment, checkpoints: Path) -> None:
        """Starts with no rows: no client has taken part in a round.

        Args:
          experiment: its algorithm says what clients keep.
          checkpoints: RUN/checkpoints.
        """
        self._algorithm = experiment.algorithm
        self._devices = experiment.devices
        self._root = checkpoints
        self._store: ClientStore | None = None
        algorithm = experiment.algorithm
        if (client := algorithm.client) is not None:
            like = jax.eval_shape(lambda: client(algorithm.init()))
            memory = experiment.config.client_store.memory_gb * 1e9
            self._store = ClientStore(like, memory)

    def take(self, server: Any, clients: np.ndarray) -> Any:
        """The rows of a cohort, leaves [C, ...]; None if clients keep nothing.

        An algorithm whose rows are large gets a OneByOne instead.

        Args:
          server: the server's state; a client's first row comes from it.
          clients: int [C], ids of the cohort.
        """
        if self._store is None:
            return None
        if self._algorithm.one_by_one:
            return _OneByOne(self, server, clients)
        return self._taken(server, clients)

    def _taken(self, server: Any, clients: np.ndarray) -> Any:
        assert self._store is not None
        assert self._algorithm.client is not None
        never = None
        if any(client not in self._store for client in clients.tolist()):
            never = fetch(self._algorithm.client(server))
        return self._devices.replicate(self._store.take(clients, never))

    def kept(self, before: Any, after: Any) -> Any:
        """The rows that a round leaves to be stored, leaves [C, ...], or None.

        A client whose new row is not finite keeps its old one.

        Args:
          before: the cohort's rows before the round, leaves [C, ...].
          after: its rows after the round, leaves [C, ...].
        """
        if self._store is None or self._algorithm.one_by_one:
            return None
        return where(finite_owners(after), after, before)

    def put(self, clients: np.ndarray, rows: Any) -> None:
        """Stores rows.

        Args:
          clients: int [C], ids of the cohort.
          rows: of `kept`, NumPy arrays [C, ...]; None for nothing.
        """
        if rows is not None:
            assert self._store is not None
            self._store.put(clients, rows)

    def prompts(self, server: Any, clients: np.ndarray) -> Any:
        """The prompts that training clients use now, leaves [C, ...].

        None if all of them use the global prompt.
        """
        if self._algorithm.prompts is None:
            return None
        return self._algorithm.prompts(server, self._taken(server, clients))

    def never_sampled(self, clients: np.ndarray) -> int:
        """The number of these clients that were in no cohort."""
        store = self._store
        if store is None:
            return 0
        return sum(client not in store for client in clients.tolist())

    def save(self, round: int) -> dict[str, Any]:
        """Writes the rows that changed since the last save.

        Returns:
          Notes for the checkpoint: the files that it needs.
        """
        if self._store is None:
            return {}
        files = self._store.save(
            self._root / FOLDER, f'{round:08}', processes.first_alone
        )
        return {NOTE: files}

    def restore(self, notes: dict[str, Any]) -> None:
        """Reads the rows from the files that a checkpoint's notes name."""
        if self._store is not None:
            self._store.load(self._root / FOLDER, notes.get(NOTE, []))

    def remove_unused(self) -> None:
        """Removes the files that no checkpoint of stage 1 names."""
        if self._store is None or not processes.is_first():
            return
        used = {
            name
            for folder in checkpoint.folders(self._root / 'train').values()
            if (folder / checkpoint.NOTES).is_file()
            for name in files(checkpoint.read_notes(folder))
        }
        for path in (self._root / FOLDER).glob('*'):
            if path.name not in used:
                path.unlink()


class _OneByOne:
    """See algorithm.OneByOne: a row is in memory only while it is in use.

    Rows are replaced in the course of a round. One that is killed leaves
    nothing behind, since checkpoints alone write to the run folder.
    """

    def __init__(
        self, clients: Clients, server: Any, cohort: np.ndarray
    ) -> None:
        self._clients, self._server, self._cohort = clients, server, cohort

    def take(self, place: int) -> Any:
        return self._clients._taken(self._server, self._cohort[[place]])

    def put(self, place: int, row: Any) -> None:
        finite, row = fetch((finite_owners(row), row))
        if finite[0]:
            self._clients.put(self._cohort[[place]], row)


def files(notes: dict[str, Any]) -> list[str]:
    """The names, in FOLDER, of the files that a checkpoint's notes name."""
    return [name for entry in notes.get(NOTE, []) for name in entry['sha256']]


def fault(root: Path, notes: dict[str, Any]) -> str:
    """What is wrong with the files that a checkpoint names, or ''.

    Args:
      root: RUN/checkpoints.
      notes: of the checkpoint.
    """
    for entry in notes.get(NOTE, []):
        if wrong := client_rows.fault(root / FOLDER, entry['sha256']):
            return wrong
    return ''
