"""Trackers, one file each, show what a run logs; `config.log.NAME` asks for it.

A tracker gets the lines of metrics.jsonl and the config, and nothing else. A
restart cuts metrics.jsonl back to a checkpoint and computes the rest again; a
tracker still shows every point once. No tracker can end a run. A file has

    PACKAGE, which it imports when it is asked for
    open_tracker(run: RunFolder, value) -> Tracker, the value not False or ''

and may have faults(value), an iterator of sentences.
"""

from collections.abc import Iterator
import contextlib
import importlib
import importlib.util
import itertools
import logging
import pkgutil
import types
from typing import Any, Protocol

from ml_collections import config_dict

from fedprompt_jax.experiment.run_folder import RunFolder

_LOG = logging.getLogger(__name__)


class Tracker(Protocol):
    """Shows the lines of a run; any method may raise any Exception."""

    def add(self, number: int, line: dict[str, Any]) -> None:
        """Takes the line of this number, from 1: first those of old starts."""

    def close(self, succeeded: bool) -> None:
        """Writes what is left; says whether the run reached its end."""


def get(name: str) -> types.ModuleType:
    """The module of a tracker."""
    return importlib.import_module(f'{__name__}.{name}')


def asked(config: config_dict.ConfigDict) -> dict[str, Any]:
    """The trackers that a config asks for: name -> value."""
    return {name: value for name, value in config.log.items() if value}


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with `config.log`, in sentences."""
    names = {module.name for module in pkgutil.iter_modules(__path__)}
    for name, value in asked(config).items():
        if name not in names:
            yield f'config.log.{name} is no tracker; there are {sorted(names)}.'
            continue
        package = get(name).PACKAGE
        spec = importlib.util.find_spec(package)
        # A folder of that name, such as W&B's logs, has no origin.
        if spec is None or spec.origin is None:
            yield (
                f'config.log.{name}={value!r} needs {package}, which is not '
                f"installed; pip install 'fedprompt_jax[{name}]'."
            )
        yield from getattr(get(name), 'faults', lambda _: ())(value)


@contextlib.contextmanager
def following(run: RunFolder, config: config_dict.ConfigDict) -> Iterator[None]:
    """Gives the trackers the run's lines, as long as the context lasts.

    A tracker that raises is left alone from then on, which a warning says.

    Args:
      run: its logs are cut back to the point where it resumes.
      config: says which trackers there are.
    """
    trackers: dict[str, Tracker] = {}
    numbers = itertools.count(1)

    def attempt(name: str, action, *args) -> Any:
        try:
            return action(*args)
        except Exception as error:  # of any kind: the results matter more
            trackers.pop(name, None)
            warning = (
                f'config.log.{name}: {type(error).__name__}: {error}. It gets '
                'no more lines of this start; metrics.jsonl has all of them.'
            )
            _LOG.warning(warning)
            run.warn(warning)
            return None

    def add(line: dict[str, Any]) -> None:
        number = next(numbers)
        for name, tracker in [*trackers.items()]:
            attempt(name, tracker.add, number, line)

    for name, value in asked(config).items() if run.writes else ():
        tracker = attempt(name, get(name).open_tracker, run, value)
        if tracker is not None:
            trackers[name] = tracker
    if trackers:
        for line in run.metrics():
            add(line)
        run.followers.append(add)
    succeeded = False
    try:
        yield
        succeeded = True
    finally:
        run.followers.clear()
        for name, tracker in [*trackers.items()]:
            attempt(name, tracker.close, succeeded)
