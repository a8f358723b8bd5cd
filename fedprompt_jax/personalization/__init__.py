"""Personalization methods, one file each.

`config.personalization.method` names the file, which has

    make(setup: Setup) -> Method

and may have faults(config), an iterator of sentences about a config that it
cannot use, and model_faults(config, model, kind), likewise of the model (a
ModelConfig) and the kind of what is trained.
"""

from collections.abc import Callable, Iterator, Sequence
import importlib
import pkgutil
import types
from typing import Any, NamedTuple

from ml_collections import config_dict

from fedprompt_jax.bank.kind import Kind, Params
from fedprompt_jax.data.examples import Example
from fedprompt_jax.federated.algorithm import Simulation
from fedprompt_jax.federated.client import LocalResult
from fedprompt_jax.models.config import ModelConfig

Steps = Sequence[Sequence[Example]]


class Setup(NamedTuple):
    """The inputs from which a method is made.

    Attributes:
      config: the whole, checked config.
      simulation: trains a bank on batches of its owners.
      num_clients: C, held-out clients that personalize the global prompt.
    """

    config: config_dict.ConfigDict
    simulation: Simulation
    num_clients: int


class Route(NamedTuple):
    """By what each example is answered by a client's prompt or the global one.

    Attributes:
      params: the global prompt, leaves [...].
      rule: of evaluation/routing.py.
      threshold: nats a token by which the client's prompt must be more
        confident.
      queries: whether the rules of the method need the query's likelihood.
    """

    params: Any
    rule: str
    threshold: float
    queries: bool


class Answer(NamedTuple):
    """Prompts with which the clients answer, and how the scores call them.

    Attributes:
      label: the column `prompt` of tradeoff.csv, such as 'personalized'.
      prompts: a bank, leaves [C, ...]; of a shared answer one tree, [...].
      alpha: the share of a client's own prompt, a column of tradeoff.csv: 0
        of the global prompt, 1 of the personalized one, NaN where that
        depends on the example.
      shared: whether all clients answer with the same prompt.
      bare: whether the model answers without any prompt.
      route: how examples are shared out between `prompts` and the global
        prompt; None where `prompts` answer all of them.
    """

    label: str
    prompts: Any
    alpha: float
    shared: bool = False
    bare: bool = False
    route: Route | None = None


class Method(NamedTuple):
    """How held-out clients make the global prompt their own.

    All C clients are computed at once. A state is any pytree of arrays with an
    attribute `bank`, leaves [C, ...]: the prompt that each client keeps, which
    is saved at the end. It is what a checkpoint holds.

    Attributes:
      init: global prompt -> the state before the first epoch.
      epoch: (state, batches) -> (state, LocalResult). The batches are those of
        one epoch of every client, step by step.
      answers: (state, global prompt) -> what is scored every
        `config.personalization.every` epochs and after the last one.
      last_answers: (state, global prompt) -> what is scored after the last
        epoch besides.
    """

    init: Callable[[Params], Any]
    epoch: Callable[[Any, Steps], tuple[Any, LocalResult]]
    answers: Callable[[Any, Params], list[Answer]]
    last_answers: Callable[[Any, Params], list[Answer]]


def names() -> list[str]:
    """The names of all methods."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> types.ModuleType:
    """The module of a method."""
    return importlib.import_module(f'{__name__}.{name}')


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What the config's method finds wrong with the config, in sentences."""
    check = getattr(get(config.personalization.method), 'faults', None)
    if check is not None:
        yield from check(config)


def model_faults(
    config: config_dict.ConfigDict, model: ModelConfig, kind: Kind
) -> Iterator[str]:
    """Why the config's method cannot use a model, in sentences.

    Args:
      config: the checked config.
      model: the frozen model.
      kind: of what is trained.
    """
    module = get(config.personalization.method)
    check = getattr(module, 'model_faults', lambda *_: ())
    yield from check(config, model, kind)
