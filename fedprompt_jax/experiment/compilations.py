"""The number and the seconds of XLA's compilations, for run.json."""

import jax

_EVENT = '/jax/core/compile/backend_compile_duration'


class Compilations:
    """Counts compilations from its construction on.

    A program from the persistent cache counts as well, with the seconds that
    reading it took.

    Attributes:
      count: the number of programs.
      seconds: the time that they took.
    """

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration_secs: float, **_) -> None:
        if event == _EVENT:
            self.count += 1
            self.seconds += duration_secs
