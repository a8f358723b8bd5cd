"""Counts what XLA compiles, so that a run can say it."""

import jax

_EVENT = '/jax/core/compile/backend_compile_duration'


class Compilations:
    """Number and seconds of compilations since construction.

    A program found in the persistent cache counts with the seconds that
    reading it took.
    """

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_) -> None:
        if event == _EVENT:
            self.count += 1
            self.seconds += duration_secs
