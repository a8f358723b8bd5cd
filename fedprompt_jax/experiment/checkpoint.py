"""Checkpoints by Orbax: atomic; the latest few and the best one are saved.

Besides Orbax's files, the folder of a step has notes.json and, written last,
SHA256SUMS: a folder without it, or that differs from it, is damaged.
"""

import functools
from pathlib import Path
import threading
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from fedprompt_jax.experiment import integrity, processes
from fedprompt_jax.experiment.run_folder import read_object
from fedprompt_jax.files import write_json

NOTES = 'notes.json'
# The one before the latest stays until the latest has its SHA256SUMS.
LEAST = 2
# Two saves at a time, from threads, mix up Orbax's temporary folders.
_ONE_AT_A_TIME = threading.RLock()


def _alone(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        with _ONE_AT_A_TIME:
            return method(*args, **kwargs)

    return call


class Checkpoints:
    """The checkpoints of one stage, by step."""

    @_alone
    def __init__(
        self, folder: Path, keep: int, metric: str = 'rouge_l'
    ) -> None:
        """Opens `folder`; what a killed save left behind is removed.

        Args:
          folder: the folder of the stage; it is made if it does not exist.
          keep: the number of latest checkpoints that stay, besides the best;
            at least two stay.
          metric: the name of the score that the best one is chosen by.
        """
        self._folder, self._metric = folder, metric
        policies = ocp.training.preservation_policies
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(),
            preservation_policy=policies.AnyPreservationPolicy(
                [
                    policies.LatestN(max(keep, LEAST)),
                    policies.BestN(get_metric_fn=lambda m: m[metric], n=1),
                ]
            ),
            cleanup_tmp_directories=True,
        )

    @_alone
    def save(
        self, step: int, tree: Any, notes: dict, score: float | None
    ) -> None:
        """Saves a tree of arrays and JSON notes; all processes must call it.

        Args:
          step: rounds or epochs done.
          tree: the state, a tree of arrays.
          notes: a JSON object; that of the first process is saved.
          score: the best checkpoint has the highest; None ranks last.
        """
        metrics = {self._metric: -1.0 if score is None else score}
        self._checkpointer.save(step, tree, metrics=metrics)
        if processes.is_first():
            path = self._folder / str(step)
            write_json(path / NOTES, notes)
            integrity.seal(path)

    @property
    def step(self) -> int | None:
        """Rounds or epochs done at the latest checkpoint; None before."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def notes(self) -> dict[str, Any]:
        """The notes of the latest checkpoint; {} before the first save."""
        if self.step is None:
            return {}
        return read_notes(self._folder / str(self.step))

    @_alone
    def restore(self, like: Any) -> Any | None:
        """The latest tree, or None before the first save.

        Args:
          like: a tree of arrays with the shapes, dtypes and shardings that
            the result shall have.

        Raises:
          ValueError: the checkpoint holds another tree.
        """
        latest = self._checkpointer.latest
        if latest is None:
            return None
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                x.shape, x.dtype, sharding=x.sharding
            ),
            like,
        )
        try:
            tree = self._checkpointer.load(latest.step, abstract)
        # Orbax raises whatever its storage raises.
        except Exception as error:
            raise ValueError(self._other(latest.step, error)) from error
        if shapes(tree) != shapes(like):
            raise ValueError(self._other(latest.step, 'other shapes'))
        return tree

    def _other(self, step: int, why: Any) -> str:
        lines = str(why).splitlines() or [type(why).__name__]
        return (
            f'{self._folder / str(step)} cannot be restored '
            f'({lines[0][:200]}), though none of its files was changed: '
            'another version of fedprompt_jax, JAX or Orbax wrote it. Use that '
            'version, or give --workdir another folder.'
        )

    @_alone
    def close(self) -> None:
        self._checkpointer.close()


def shapes(tree: Any) -> list[tuple]:
    """(shape, dtype) of each leaf of a tree."""
    return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]


def folders(stage: Path) -> dict[int, Path]:
    """Step -> folder of a stage's checkpoints on disk, the latest first."""
    entries = stage.iterdir() if stage.is_dir() else ()
    steps = {int(p.name): p for p in entries if p.name.isdecimal()}
    return dict(sorted(steps.items(), reverse=True))


def read_notes(folder: Path) -> dict[str, Any]:
    """The notes of a checkpoint that has no fault."""
    return read_object(folder / NOTES)
