"""Stand-ins for simulation, scorer and run folder that record what they get.

Their results can be computed by hand, so that a test of how the parts of an
experiment are connected needs no model.
"""

from collections.abc import Iterator, Sequence
import contextlib
import json
import types
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from fedprompt_jax.data.examples import Example
from fedprompt_jax.evaluation.scoring import Request, Scores
from fedprompt_jax.experiment import build
from fedprompt_jax.federated import ledger
from fedprompt_jax.federated.client import LocalResult, client_step


def gradients(bank) -> dict[str, jax.Array]:
    """The gradient of owner c is c + 1 everywhere, whatever the examples."""

    def leaf(x):
        owners = jnp.arange(1, len(x) + 1, dtype=x.dtype)
        return jnp.broadcast_to(
            owners.reshape(-1, *[1] * (x.ndim - 1)), x.shape
        )

    return jax.tree.map(leaf, bank)


class Simulation:
    """Trains on `gradients`, with the optimizer that it is given.

    Attributes:
      banks: that each call of local_train began with.
      steps: the examples of each call, step by step.
      packer: the row shapes that it would use.
      args: that it was made with.
    """

    packer: Any = None

    def __init__(self, *args) -> None:
        self.args = args
        self.banks: list[Any] = []
        self.steps: list[list[list[Example]]] = []

    def with_packer(self, packer):
        return self

    def gradients(self, bank, examples):
        return np.ones(_owners(bank)), gradients(bank)

    def prepare(self, examples, alone=False):
        return examples

    def compute(self, steps):
        return ledger.compute(self.args[0], steps) if self.args else {}

    def local_train(self, tx, bank, opt_state, steps):
        self.banks.append(bank)
        self.steps.append(steps)
        owners = np.arange(_owners(bank))
        step = jax.vmap(lambda *args: client_step(tx, *args))
        grads = gradients(bank)
        for examples in steps:
            present = np.isin(owners, [e.owner for e in examples])
            bank, opt_state = step(bank, opt_state, grads, present)
        ones = np.ones((len(steps), len(owners)))
        return LocalResult(bank, opt_state, ones, ones, grads)


class Scorer:
    """ROUGE-L is the mean number of the prompt, the loss is the instance.

    Attributes:
      store: tokens and texts.
      calls: (progress, bank, requests) of each call of score.
      args: that it was made with.
    """

    def __init__(self, store, *args) -> None:
        self.store, self.args = store, args
        self.packer = args[1] if len(args) > 1 else None
        self.calls: list[tuple[str, Any, Sequence[Request]]] = []

    def bare(self):
        return self, {'prompt': jnp.zeros((1, 1))}

    def rouge_l(self, progress: str, prompts: np.ndarray, requests):
        return prompts[[r.owner for r in requests]]

    def score(self, bank, requests, progress='') -> Scores:
        self.calls.append((progress, bank, requests))
        prompts = np.asarray(bank['prompt'], float).mean(axis=(1, 2))
        n = len(requests)
        return Scores(
            [''] * n,
            self.rouge_l(progress, prompts, requests),
            np.zeros(n),
            np.array([r.instance for r in requests], float),
            np.ones(n, int),
            np.ones(n, int),
            [np.zeros(0)] * n,
        )


class Run:
    """A run folder's lines, in memory.

    Attributes:
      lines: of metrics.jsonl.
      rows: of tradeoff.csv.
      predictions: of predictions.jsonl.
      records: of other JSON files, by name.
    """

    shows = writes = False

    def __init__(self) -> None:
        self.lines: list[dict] = []
        self.rows: list[dict] = []
        self.predictions: list[dict] = []
        self.info: dict[str, Any] = {}
        self.records: dict[str, Any] = {}

    def log(self, **line) -> None:
        self.lines.append(json.loads(json.dumps(line)))

    def record(self, name: str, content: dict) -> None:
        self.records[name] = json.loads(json.dumps(content))

    def add_scores(self, rows, predictions) -> None:
        self.rows += rows
        self.predictions += predictions

    def notes(self) -> dict:
        return {}


class Devices:
    """Leaves arrays where they are."""

    def replicate(self, tree):
        return tree


class NoCheckpoints:
    """A stage's checkpoints: none there, none saved."""

    step = None

    def restore(self, like):
        return None

    def notes(self) -> dict:
        return {}

    def save(self, *_) -> None:
        pass


class Checkpoints(NoCheckpoints):
    """Remembers what is saved, and restores what it is given.

    Attributes:
      saved: (step, tree, score) of each save.
      state: what is restored; None before the first checkpoint.
    """

    def __init__(self, state: Any = None) -> None:
        self.saved: list[tuple[int, Any, float | None]] = []
        self.state = state

    def restore(self, like):
        return self.state

    def save(self, step, tree, notes, score) -> None:
        self.saved.append((step, tree, score))

    @property
    def steps(self) -> list[int]:
        """The rounds or epochs after which there was a save."""
        return [step for step, _, _ in self.saved]


NEVER = types.SimpleNamespace(asked=lambda: False)  # a run is not stopped


@contextlib.contextmanager
def in_place(scorer: type[Scorer] = Scorer) -> Iterator[list[Simulation]]:
    """Has build.build use these stand-ins; yields the simulations it made."""
    made = []

    def simulation(*args):
        made.append(Simulation(*args))
        made[-1].packer = args[2]
        return made[-1]

    with (
        mock.patch.object(build, 'PackedSimulation', simulation),
        mock.patch.object(build, 'Evaluator', scorer),
    ):
        yield made


def _owners(bank) -> int:
    return len(jax.tree.leaves(bank)[0])
