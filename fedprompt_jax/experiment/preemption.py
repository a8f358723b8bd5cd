"""SIGTERM, which clusters send before they take a machine away.

The current round (or epoch) is finished and saved, then the run ends; the same
command resumes it.
"""

import logging
import signal

from fedprompt_jax.experiment import processes

_LOG = logging.getLogger(__name__)

EXIT_CODE = 75  # sysexits.h: a temporary failure, try again


class Preempted(Exception):
    """The run stopped on request; everything that it computed is saved."""


class Preemption:
    """Remembers a SIGTERM while it is entered; a second one kills."""

    def __init__(self) -> None:
        self._received = False

    def __enter__(self) -> 'Preemption':
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_) -> None:
        signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

    def _note(self, *_) -> None:
        self._received = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one kills
        _LOG.warning(
            'SIGTERM: the run finishes the current round or epoch, saves it '
            'and stops.'
        )

    def asked(self) -> bool:
        """Whether any process has received SIGTERM; all must call it."""
        return processes.any_of(self._received)


def stopped(unit: str, number: int) -> Preempted:
    """The exception to raise once `number` rounds or epochs are saved."""
    return Preempted(
        f'stopped by SIGTERM after {unit} {number}, which is saved; the same '
        'command resumes it.'
    )
