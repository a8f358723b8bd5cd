"""The processes of a run: the same program and config, one or more a host.

All compute the same rounds, each on its rows; the first alone writes and
speaks. Nothing slow is imported before they connect.
"""

import dataclasses
import logging

# A process that says nothing for so long is lost, and ends the others.
HEARTBEAT = 60  # seconds


@dataclasses.dataclass(frozen=True)
class Processes:
    """How the processes of a run find each other.

    Attributes:
      coordinator: host:port at which the first is found; None where the
        cluster says all three (Cloud TPU, GKE, SLURM).
      num_processes: of the run.
      process_id: of this one, from 0.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None

    def connect(self) -> None:
        """Waits for all; to be called before JAX looks for devices.

        Raises:
          ValueError: there is no cluster that knows them.
        """
        import jax

        # SIGTERM is ours: see preemption.py.
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
        if not is_first():
            logging.getLogger('fedprompt_jax').setLevel(logging.ERROR)


def from_flags(
    distributed: bool,
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
) -> Processes | None:
    """What the flags of main.py ask for; None for a process alone.

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
    """Whether this is the process that writes and speaks."""
    import jax

    return jax.process_index() == 0


def any_of(flag: bool) -> bool:
    """Whether the flag holds in some process; all of them must ask."""
    import jax
    from jax.experimental import multihost_utils

    if jax.process_count() == 1:
        return flag
    return bool(multihost_utils.process_allgather(flag).any())
