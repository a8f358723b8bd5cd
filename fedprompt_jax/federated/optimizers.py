"""Optax optimizers by name, and what is chained around them."""

import ast
import difflib
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import optax


def parse(spec: str) -> tuple[str, dict[str, Any]]:
    """Name and keyword arguments of 'adam(b1=0.99, eps=1e-8)' or 'sgd'.

    One string holds both, so that choosing another optimizer on the command
    line leaves no argument of the old one behind.

    Raises:
      ValueError: the text is no such call, or Optax has no such optimizer or
        argument; it names the nearest that there is.
    """
    try:
        call = ast.parse(spec.strip(), mode='eval').body
        if isinstance(call, ast.Name):
            name, kwargs = call.id, {}
        elif isinstance(call, ast.Call) and not call.args:
            assert isinstance(call.func, ast.Name)
            name = call.func.id
            kwargs = {
                str(k.arg): ast.literal_eval(k.value) for k in call.keywords
            }
        else:
            raise ValueError
    except (SyntaxError, ValueError, AssertionError):
        raise ValueError(
            f"{spec!r} is not an optimizer; write 'adam(b1=0.9)' or 'sgd'."
        ) from None
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


def make(spec: str, learning_rate: float) -> optax.GradientTransformation:
    """The optimizer that `spec` says, at a learning rate."""
    name, kwargs = parse(spec)
    return getattr(optax, name)(learning_rate, **kwargs)


def pull_to_start(strength: float) -> optax.GradientTransformation:
    """Adds the gradient of (strength / 2) * |params - start|^2.

    The start is where `init` was called: the global prompt in Profit's l2
    heuristic (2310.04627, observation 4), in FedProx's proximal term and in
    Ditto's personal objective. It is state, one of each owner in a bank.

    Args:
      strength: lambda, 0 or more.
    """

    def update(grads, start, params=None):
        pulled = jax.tree.map(
            lambda g, p, s: g + strength * (p - s), grads, params, start
        )
        return pulled, start

    return optax.GradientTransformation(lambda params: params, update)
