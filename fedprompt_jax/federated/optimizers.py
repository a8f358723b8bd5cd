"""Optax optimizers by name, with a learning rate that may follow the round."""

from collections.abc import Mapping
import difflib
import functools
import inspect
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fedprompt_jax.federated import specs

RATE = 'learning_rate'  # its key in the state of inject_hyperparams


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Name and keyword arguments of 'adam(b1=0.99, eps=1e-8)' or 'sgd'.

    Raises:
      ValueError: the text is no such call, or Optax has no such optimizer or
        argument; it names the nearest that there is.
    """
    name, kwargs = specs.parse(spec, 'an optimizer', "'adam(b1=0.9)' or 'sgd'")
    _check(spec, name, kwargs)
    return name, kwargs


def _check(spec: str, name: str, kwargs: dict[str, Any]) -> None:
    known = _optimizers()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1) or ['adam']
        raise ValueError(
            f'{spec!r}: optax has no optimizer {name!r}; did you mean '
            f'{near[0]!r}?'
        )
    parameters = dict(inspect.signature(getattr(optax, name)).parameters)
    del parameters['learning_rate']
    for key in set(kwargs) - set(parameters):
        raise ValueError(
            f'{spec!r}: optax.{name} has no argument {key!r}; it takes '
            f'{", ".join(sorted(parameters))}.'
        )
    if {'seed', 'key'} & set(parameters):
        raise ValueError(
            f'{spec!r}: optax.{name} draws random numbers, which would be the '
            'same for every client and round.'
        )
    # The signature says nothing of values, nor of an optimizer that asks for
    # more than a gradient (L-BFGS searches along the loss).
    params = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    try:
        tx = getattr(optax, name)(0.1, **kwargs)
        jax.eval_shape(lambda p: tx.update(p, tx.init(p), p), params)
    except Exception as error:
        raise ValueError(
            f'{spec!r}: optax.{name} takes no step: {error}'
        ) from error


def _optimizers() -> list[str]:
    """Names in optax that make a transformation from a learning rate."""
    names = []
    for name in dir(optax):
        value = getattr(optax, name)
        if name.startswith(('_', 'scale_by_')):  # parts of optimizers
            continue
        if callable(value) and not isinstance(value, type):
            try:
                parameters = inspect.signature(value).parameters
            except ValueError:
                continue
            if next(iter(parameters), None) == 'learning_rate':
                names.append(name)
    return names


# One object for each spec: programs that take it are compiled once for all runs
# of a process.
@functools.cache
def make(spec: str, learning_rate: float) -> optax.GradientTransformation:
    """The optimizer that `spec` says, at a learning rate."""
    name, kwargs = parse(spec)
    return getattr(optax, name)(learning_rate, **kwargs)


@functools.cache
def make_scheduled(
    spec: str, learning_rate: float
) -> optax.GradientTransformation:
    """The same with the learning rate as state; see with_settings."""
    name, kwargs = parse(spec)
    function = getattr(optax, name)
    others = set(inspect.signature(function).parameters) - {RATE}
    return optax.inject_hyperparams(function, static_args=others)(
        learning_rate, **kwargs
    )


def with_settings(
    opt_state: Any, settings: Mapping[str, float | jax.Array]
) -> Any:
    """The state with other hyper-parameters, where it holds such ones.

    Args:
      opt_state: state of a transformation that optax.inject_hyperparams made,
        alone or in a chain; any other is returned as it is.
      settings: name of a hyper-parameter -> value, or one for each owner [C].
    """

    def leaf(path, x):
        for parent, part in itertools.pairwise(path):
            if getattr(parent, 'name', '') == 'hyperparams':
                if (value := settings.get(part.key)) is not None:
                    return jnp.full_like(x, value)
        return x

    return jax.tree_util.tree_map_with_path(leaf, opt_state)
