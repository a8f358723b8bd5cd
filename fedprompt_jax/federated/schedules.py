"""Learning rates by round: `config.client.schedule`, `config.server.schedule`.

A client optimizer starts anew in each round, so that its own count of steps
says nothing of the run: a schedule is a function of the round, from 0. It
multiplies the learning rate of the config by a factor.
"""

from collections.abc import Callable
import math
from typing import Protocol

from fedprompt_jax.federated import specs


class ByRound(Protocol):
    """A number by round: a learning rate, or the share of one."""

    def __call__(self, round: float, step: float = 1.0) -> float:
        """The number at a time of the run.

        Args:
          round: from 0; 2.5 is in the middle of round 2.
          step: the part of a round for which it holds: 0.1 for one step of
            ten. A warm-up rises by as much.
        """


def constant(rounds: int, warmup: int = 0) -> ByRound:
    """Factor 1 after `warmup` rounds, in which it rises from 1 / warmup."""
    del rounds
    return _after_warmup(warmup, lambda n: 1.0)


def linear(rounds: int, end: float = 0.0, warmup: int = 0) -> ByRound:
    """Falls from 1 toward `end`, which the round after the last would have."""
    left = max(1, rounds - warmup)
    return _after_warmup(
        warmup, lambda n: end + (1 - end) * max(0.0, 1 - n / left)
    )


def cosine(rounds: int, end: float = 0.0, warmup: int = 0) -> ByRound:
    """Falls from 1 toward `end` along half a cosine (1608.03983)."""
    left = max(1, rounds - warmup)
    return _after_warmup(
        warmup,
        lambda n: (
            end + (1 - end) * (1 + math.cos(math.pi * min(1, n / left))) / 2
        ),
    )


def exponential(
    rounds: int, decay: float = 0.99, floor: float = 0.0, warmup: int = 0
) -> ByRound:
    """`decay` to the power of the round, but never below `floor`."""
    del rounds
    if not 0 < decay <= 1:
        raise ValueError(f'decay={decay!r} must be in (0, 1].')
    return _after_warmup(warmup, lambda n: max(floor, decay**n))


NAMES = {f.__name__: f for f in (constant, linear, cosine, exponential)}
# These depend on how many rounds a run has.
OF_THE_END = ('linear', 'cosine')


def make(spec: str, rounds: int) -> ByRound:
    """The factor of 'constant' or 'cosine(end=0.1, warmup=5)'.

    Args:
      spec: name and arguments; `warmup` in rounds, all others shares.
      rounds: of the run.

    Raises:
      ValueError: there is none of that name, or it has no such argument.
    """
    return specs.call(spec, NAMES, 'schedule', rounds)


def is_constant(spec: str) -> bool:
    """Whether the learning rate is the same in all rounds."""
    return specs.parse(spec, 'a schedule', "'constant'") == ('constant', {})


def depends_on_rounds(spec: str) -> bool:
    """Whether another number of rounds changes the rates of the first ones."""
    return specs.parse(spec, 'a schedule', "'constant'")[0] in OF_THE_END


def _after_warmup(warmup: int, factor: Callable[[float], float]) -> ByRound:
    if warmup < 0 or warmup != int(warmup):
        raise ValueError(f'warmup={warmup!r} must be a number of rounds.')

    def at(round: float, step: float = 1.0) -> float:
        if round < warmup:
            return min(1.0, (round + step) / warmup)
        return factor(round - warmup)

    return at
