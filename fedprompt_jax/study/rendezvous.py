"""A rendezvous of threads, whose requests are computed in one call.

Each participant makes a request and waits. When all participants wait, the
last one computes the answers for all; requests with the same key are computed
in one call. The order in which threads arrive has no effect.
"""

from collections.abc import Callable, Hashable, Sequence
import threading
from typing import Any, NamedTuple

# Requests with one key -> an answer for each, in their order.
Compute = Callable[[Sequence[Any]], Sequence[Any]]


class _Request(NamedTuple):
    key: Hashable
    compute: Compute
    request: Any


class Rendezvous:
    """The place where participants 0 ... n - 1 meet, each in its own thread.

    Attributes:
      size: n, the number of participants at the start.
    """

    def __init__(self, participants: int) -> None:
        self.size = participants
        self._present = set(range(participants))
        self._requests: dict[int, _Request] = {}
        self._answers: dict[int, Any] = {}
        self._change = threading.Condition()

    def ask(
        self, participant: int, key: Hashable, compute: Compute, request
    ) -> Any:
        """The answer to a request, from one call with all requests of a key.

        Args:
          participant: the number of the caller.
          key: requests with equal keys are computed together.
          compute: computes the answers; equal for equal keys.
          request: an argument of `compute`.

        Raises:
          BaseException: what `compute` raises; every participant whose
            request had the key gets it.
        """
        with self._change:
            self._requests[participant] = _Request(key, compute, request)
            self._answer_if_all_wait()
            self._change.wait_for(lambda: participant in self._answers)
            answer = self._answers.pop(participant)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def leave(self, participant: int) -> None:
        """Ends a participant's part: the others no longer wait for it."""
        with self._change:
            self._present.discard(participant)
            self._answer_if_all_wait()

    def _answer_if_all_wait(self) -> None:
        """Computes all answers if every present participant waits for one."""
        if not self._requests or self._requests.keys() != self._present:
            return
        groups: dict[Hashable, list[int]] = {}
        # Sorted, so that a call does not depend on who came first.
        for participant in sorted(self._requests):
            key = self._requests[participant].key
            groups.setdefault(key, []).append(participant)
        for participants in groups.values():
            requests = [self._requests[p] for p in participants]
            try:
                answers = requests[0].compute([r.request for r in requests])
            except BaseException as error:  # all of the group get it
                answers = [error] * len(participants)
            self._answers.update(zip(participants, answers, strict=True))
        self._requests.clear()
        self._change.notify_all()
