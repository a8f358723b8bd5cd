"""Where runs in threads of their own meet, to be computed in one call.

Each member asks for something and waits. When all that are present wait, the
last to come computes for all of them, what is alike in one call; nothing
depends on which thread is faster.
"""

from collections.abc import Callable, Hashable, Sequence
import threading
from typing import Any, NamedTuple

# What is asked of a call -> the answers, in their order.
Compute = Callable[[Sequence[Any]], Sequence[Any]]


class _Asked(NamedTuple):
    key: Hashable
    compute: Compute
    request: Any


class Meeting:
    """Members 0 ... n - 1, of which each calls from a thread of its own."""

    def __init__(self, members: int) -> None:
        self.size = members
        self._present = set(range(members))
        self._asked: dict[int, _Asked] = {}
        self._answers: dict[int, Any] = {}
        self._change = threading.Condition()

    def ask(self, member: int, key: Hashable, compute: Compute, request) -> Any:
        """The member's answer, from one call with all requests of a key.

        Args:
          member: who asks.
          key: requests of an equal one are computed together.
          compute: that call; equal for equal keys.
          request: what the member asks for.

        Raises:
          BaseException: what `compute` raises; all that asked with the key
            get it.
        """
        with self._change:
            self._asked[member] = _Asked(key, compute, request)
            self._answer_if_all_wait()
            self._change.wait_for(lambda: member in self._answers)
            answer = self._answers.pop(member)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def leave(self, member: int) -> None:
        """The others wait for this one no longer."""
        with self._change:
            self._present.discard(member)
            self._answer_if_all_wait()

    def _answer_if_all_wait(self) -> None:
        if not self._asked or self._asked.keys() != self._present:
            return
        groups: dict[Hashable, list[int]] = {}
        for member in sorted(self._asked):
            groups.setdefault(self._asked[member].key, []).append(member)
        for members in groups.values():
            asked = [self._asked[m] for m in members]
            try:
                answers = asked[0].compute([a.request for a in asked])
            except BaseException as error:  # theirs as much as ours
                answers = [error] * len(members)
            self._answers.update(zip(members, answers, strict=True))
        self._asked.clear()
        self._change.notify_all()


class Member(NamedTuple):
    """One of a meeting.

    Attributes:
      meeting: of all.
      number: from 0.
    """

    meeting: Meeting
    number: int

    def ask(self, key: Hashable, compute: Compute, request) -> Any:
        """See Meeting.ask."""
        return self.meeting.ask(self.number, key, compute, request)
