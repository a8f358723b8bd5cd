"""Batches that are packed, and on the devices, before they are needed.

A simulation of plain batches waits for each result: an owner that is lost, that
turns non-finite, may have poisoned those that share its rows, and then all is
computed again with one owner a row. Prepared batches are computed without a
look at the result. Instead it is NaN for every owner as soon as one is lost:
whoever reads the end of a round sees that nothing of it is sound, and computes
the round again from batches that were prepared with one owner a row.

    >>> before = {'prompt': jnp.zeros((3, 1))}
    >>> after = {'prompt': jnp.array([[1.0], [jnp.nan], [2.0]])}
    >>> print(all_or_none(before, after)[0]['prompt'].ravel())
    [nan nan nan]

An owner that was not finite before is no news:

    >>> print(all_or_none(after, after)[0]['prompt'].ravel())
    [ 1. nan  2.]
"""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
import functools
from typing import Any, overload

import jax
import jax.numpy as jnp

from fedprompt_jax.bank.owners import finite_owners
from fedprompt_jax.data.examples import Example
from fedprompt_jax.data.packing import Grid
from fedprompt_jax.data.sampling import Cohort

STEPS, EXAMPLES = 'steps', 'examples'  # of a cohort; see Algorithm.takes


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared(Sequence[Example]):
    """The examples of a batch, and what a simulation has made of them.

    Attributes:
      examples: of any owners.
      alone: whether each row has a single owner.
      grids: that hold the examples, on the devices; () where they have to be
        packed with those of others.
      packing: what the grids depend on besides; another simulation, whose own
        differs, packs the examples itself.
    """

    examples: Sequence[Example]
    alone: bool
    grids: tuple[Grid, ...] = ()
    packing: Any = None

    @overload
    def __getitem__(self, place: int) -> Example: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Example]: ...

    def __getitem__(self, place):
        return self.examples[place]

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)


def plain(batch: Sequence[Example]) -> Sequence[Example]:
    """The examples of a batch, as they were before it was prepared."""
    return batch.examples if isinstance(batch, Prepared) else batch


def are_prepared(batches: Iterable[Sequence[Example]]) -> bool:
    """Whether to look for lost owners is left to the caller."""
    return any(isinstance(batch, Prepared) for batch in batches)


def share_rows(batches: Iterable[Sequence[Example]]) -> bool:
    """Whether they are prepared, and an owner can poison others."""
    return any(isinstance(b, Prepared) and not b.alone for b in batches)


def cohort(
    simulation: Any, drawn: Cohort, takes: Iterable[str], alone: bool
) -> Cohort:
    """The cohort with prepared batches.

    Args:
      simulation: prepares them.
      drawn: the cohort.
      takes: see Algorithm.takes; other batches stay plain.
      alone: whether each row has a single owner.
    """
    prepare = functools.partial(simulation.prepare, alone=alone)
    whole = prepare(drawn.examples) if EXAMPLES in takes else drawn.whole
    steps = drawn.steps
    if STEPS in takes:
        steps = [prepare(step) for step in steps]
    return drawn._replace(steps=steps, whole=whole)


def checked(
    before: Any, after: Any, batches: Iterable[Sequence[Example]], *more: Any
) -> Any:
    """The bank `after` and more, as NaN if an owner may have poisoned it.

    Nothing is read of it.

    Args:
      before: leaves [C, ...].
      after: likewise, what these batches have made of it.
      batches: prepared ones.
      *more: what else they have made; any trees of floats.
    """
    if not share_rows(batches):
        return (after, *more)
    return all_or_none(before, after, *more)


@jax.jit
def all_or_none(before: Any, after: Any, *more: Any) -> Any:
    """The bank `after` and more; all NaN where a finite owner is no longer.

    Args:
      before: leaves [C, ...].
      after: any tree with leaves [C, ...].
      *more: any trees.
    """
    lost = (finite_owners(before) & ~finite_owners(after)).any()
    both = (after, *more)
    return jax.tree.map(lambda x: jnp.where(lost, jnp.nan, x), both)
