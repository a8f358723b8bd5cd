"""What the clients of a run keep: taken out before a round, put back after.

Its files lie in RUN/checkpoints/clients; the notes of a checkpoint of stage 1
name those that it needs, so that a run which is killed at any moment resumes
with what the clients kept then.
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
from fedprompt_jax.mesh import to_host

FOLDER = 'clients'  # beside the folders of the stages
NOTE = 'clients'  # the key of a checkpoint's notes


class Clients:
    """The rows of a run's clients, as its rounds see them; see ClientStore."""

    def __init__(self, experiment: Experiment, checkpoints: Path) -> None:
        """No client has been seen.

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
        """What a cohort keeps, leaves [C, ...]; None where nothing is kept."""
        if self._store is None:
            return None
        assert self._algorithm.client is not None
        never = jax.tree.map(to_host, self._algorithm.client(server))
        return self._devices.replicate(self._store.take(clients, never))

    def put(self, clients: np.ndarray, before: Any, after: Any) -> None:
        """Keeps what a round has returned.

        A client whose row turns non-finite keeps what it had.
        """
        if self._store is not None:
            rows = where(finite_owners(after), after, before)
            self._store.put(clients, jax.tree.map(to_host, rows))

    def prompts(self, server: Any, clients: np.ndarray) -> Any:
        """What these training clients answer with now, leaves [C, ...].

        None where it is the global prompt.
        """
        if self._algorithm.prompts is None:
            return None
        return self._algorithm.prompts(server, self.take(server, clients))

    def save(self, round: int) -> dict[str, Any]:
        """Writes what changed since the last time; returns notes about it."""
        if self._store is None:
            return {}
        files = self._store.save(
            self._root / FOLDER, f'{round:08}', processes.first_alone
        )
        return {NOTE: files}

    def restore(self, notes: dict[str, Any]) -> None:
        """Takes over what the notes of a checkpoint name."""
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
            for entry in checkpoint.read_notes(folder).get(NOTE, [])
            for name in entry['sha256']
        }
        for path in (self._root / FOLDER).glob('*'):
            if path.name not in used:
                path.unlink()


def fault(root: Path, notes: dict[str, Any]) -> str:
    """Why the files that a checkpoint names are not whole, or ''.

    Args:
      root: RUN/checkpoints.
      notes: of the checkpoint.
    """
    for entry in notes.get(NOTE, []):
        if wrong := client_rows.fault(root / FOLDER, entry['sha256']):
            return wrong
    return ''
