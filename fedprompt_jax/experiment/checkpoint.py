"""Checkpoints by Orbax: atomic, the latest few and the best one kept."""

import functools
from pathlib import Path
import threading
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

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
          folder: made if it is not there.
          keep: how many latest checkpoints stay, besides the best.
          metric: what the scores are that the best one is chosen by.
        """
        self._metric = metric
        policies = ocp.training.preservation_policies
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(),
            preservation_policy=policies.AnyPreservationPolicy(
                [
                    policies.LatestN(keep),
                    policies.BestN(get_metric_fn=lambda m: m[metric], n=1),
                ]
            ),
            cleanup_tmp_directories=True,
        )

    @_alone
    def save(
        self, step: int, tree: Any, notes: dict, score: float | None
    ) -> None:
        """Saves a tree of arrays and JSON notes, whole or not at all.

        Args:
          step: rounds or epochs done.
          tree: arrays.
          notes: anything JSON has.
          score: what the best checkpoint is chosen by; None ranks last.
        """
        metrics = {self._metric: -1.0 if score is None else score}
        self._checkpointer.save(
            step, tree, metrics=metrics, custom_metadata=notes
        )

    @property
    def step(self) -> int | None:
        """Rounds or epochs done at the latest checkpoint; None before."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    @property
    def notes(self) -> dict | None:
        """The notes of the latest checkpoint, or None before the first."""
        latest = self._checkpointer.latest
        if latest is None:
            return None
        return self._checkpointer.metadata(latest.step).custom_metadata

    @_alone
    def restore(self, like: Any) -> Any | None:
        """The latest tree, or None before the first save.

        Args:
          like: a tree of arrays with the shapes, dtypes and shardings that
            the result shall have.
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
        return self._checkpointer.load(latest.step, abstract)

    @_alone
    def close(self) -> None:
        self._checkpointer.close()
