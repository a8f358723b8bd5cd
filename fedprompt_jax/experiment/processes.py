"""The processes of a run: the same program and config, one or more a host.

All compute the same rounds, each on its rows; the first alone writes files and
messages. Nothing slow is imported before they connect.
"""

from collections.abc import Callable, Sequence
import dataclasses
import json
import logging
from pathlib import Path
import secrets
import time

import numpy as np

# Seconds without a sign of a process, after which the others end.
HEARTBEAT = 60
PATIENCE = 30  # seconds for a file of one host to be seen by the others


@dataclasses.dataclass(frozen=True)
class Processes:
    """The address by which the processes of a run find each other.

    Attributes:
      coordinator: host:port of the first process; None where the cluster
        provides all three values (Cloud TPU, GKE, SLURM).
      num_processes: the number of processes of the run.
      process_id: the number of this process, from 0.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None

    def connect(self) -> None:
        """Waits for all processes; call it before JAX looks for devices.

        Raises:
          ValueError: there is no cluster that knows them, or they do not
            find each other.
        """
        import jax

        # preemption.py handles SIGTERM.
        jax.config.update('jax_enable_preemption_service', False)
        try:
            jax.distributed.initialize(
                self.coordinator,
                self.num_processes,
                self.process_id,
                heartbeat_timeout_seconds=HEARTBEAT,
            )
        except ValueError as error:
            raise ValueError(
                f'--distributed finds no cluster ({error}); name the processes '
                'by --coordinator, --num_processes and --process_id.'
            ) from error
        except RuntimeError as error:
            raise ValueError(
                f'--coordinator={self.coordinator}, --num_processes='
                f'{self.num_processes}, --process_id={self.process_id}: the '
                f'processes do not find each other ({error}); start all of '
                'them, each with its own id, and give a port that is free.'
            ) from error
        if not is_first():
            logging.getLogger('fedprompt_jax').setLevel(logging.ERROR)


def from_flags(
    distributed: bool,
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
) -> Processes | None:
    """The processes that the flags of main.py name; None for one alone.

    Raises:
      ValueError: they contradict each other.
    """
    numbers = num_processes, process_id
    if distributed:
        if coordinator is not None or numbers != (None, None):
            raise ValueError(
                '--distributed asks the cluster (Cloud TPU, GKE, SLURM) for '
                'the processes, and --coordinator, --num_processes and '
                '--process_id name them; give the one or the others.'
            )
        return Processes()
    given = [x is not None for x in (coordinator, *numbers)]
    if not any(given):
        return None
    if not all(given):
        raise ValueError(
            f'--coordinator={coordinator}, --num_processes={num_processes} and '
            f'--process_id={process_id} are only of use together; give all '
            'three, such as --coordinator=localhost:9911 --num_processes=2 '
            '--process_id=0 and, in the other process, --process_id=1.'
        )
    assert num_processes is not None and process_id is not None
    if not 0 <= process_id < num_processes:
        raise ValueError(
            f'--process_id={process_id} must be one of 0 ... --num_processes '
            f'- 1 = {num_processes - 1}.'
        )
    return Processes(coordinator, num_processes, process_id)


def is_first() -> bool:
    """Whether this is the process that writes files and messages."""
    import jax

    return jax.process_index() == 0


def any_of(flag: bool) -> bool:
    """Whether the flag is true in any process; all must call it."""
    return bool(_of_all([flag]).any())


def share(folder: Path) -> bool:
    """Whether all processes see the same folder; all must call it."""
    if _alone():
        return True
    mark = folder / f'.shared-{_of_all([secrets.randbits(31)])[0, 0]}'
    if is_first():
        mark.touch()
    any_of(False)  # a barrier: the first process has made the mark
    seen = not any_of(not _appears(mark))
    if is_first():
        mark.unlink()
    return seen


def texts(text: str) -> list[str]:
    """Gathers a text from each process, in their order; all must call it."""
    if _alone():
        return [text]
    from jax.experimental import multihost_utils

    encoded = np.frombuffer(text.encode(), np.uint8)
    lengths = _of_all([len(encoded)])[:, 0]  # [processes]
    # Arrays of one shape alone can be gathered.
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(encoded)] = encoded
    rows = multihost_utils.process_allgather(padded)  # [processes, longest]
    return [
        bytes(row[:length]).decode()
        for row, length in zip(rows, lengths, strict=True)
    ]


def first_alone(work: Callable[[], None]) -> None:
    """Calls `work` in the first process, while others wait; all must call it.

    Raises:
      ValueError: in all processes, with the first one's message.
    """
    if _alone():
        work()
        return
    fault = ''
    if is_first():
        try:
            work()
        except (OSError, ValueError) as error:
            fault = str(error)
    fault = json.loads(texts(json.dumps(fault))[0])
    if fault:
        raise ValueError(fault)


def _appears(path: Path) -> bool:
    """Whether a file appears within PATIENCE: NFS caches what is missing."""
    deadline = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return path.exists()


def _of_all(values: Sequence[int]) -> np.ndarray:
    """Gathers the values of all processes, [processes, n]."""
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.array(values))


def _alone() -> bool:
    import jax

    return jax.process_count() == 1
