"""A rendezvous of threads, whose requests are computed in one call.

Each participant makes a request and waits. When all participants wait, the
last one computes the answers of all, equal keys in one call. Which thread is
faster has no effect.
"""

from collections.abc import Callable, Hashable, Sequence
import threading
from typing import Any, NamedTuple

# What is asked of a call -> the answers, in their order.
Compute = Callable[[Sequence[Any]], Sequence[Any]]


class _Request(NamedTuple):
    key: Hashable
    compute: Compute
    request: Any


class Rendezvous:
    """Participants 0 ... n - 1; each calls from its own thread."""

    def __init__(self, participants: int) -> None:
        self.size = participants
        self._present = set(range(participants))
        self._asked: dict[int, _Request] = {}
        self._answers: dict[int, Any] = {}
        self._change = threading.Condition()

    def ask(
        self, participant: int, key: Hashable, compute: Compute, request
    ) -> Any:
        """The answer to a request, from one call with all requests of a key.

        Args:
          participant: who asks.
          key: requests of an equal one are computed together.
          compute: that call; equal for equal keys.
          request: what the participant asks for.

        Raises:
          BaseException: what `compute` raises; all that asked with the key
            get it.
        """
        with self._change:
            self._asked[participant] = _Request(key, compute, request)
            self._answer_if_all_wait()
            self._change.wait_for(lambda: participant in self._answers)
            answer = self._answers.pop(participant)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def leave(self, participant: int) -> None:
        """The others no longer wait for this participant."""
        with self._change:
            self._present.discard(participant)
            self._answer_if_all_wait()

    def _answer_if_all_wait(self) -> None:
        if not self._asked or self._asked.keys() != self._present:
            return
        groups: dict[Hashable, list[int]] = {}
        for participant in sorted(self._asked):
            key = self._asked[participant].key
            groups.setdefault(key, []).append(participant)
        for participants in groups.values():
            asked = [self._asked[p] for p in participants]
            try:
                answers = asked[0].compute([a.request for a in asked])
            except BaseException as error:  # theirs as much as ours
                answers = [error] * len(participants)
            self._answers.update(zip(participants, answers, strict=True))
        self._asked.clear()
        self._change.notify_all()
