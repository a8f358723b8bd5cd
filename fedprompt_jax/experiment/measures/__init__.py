"""Measures, one file each: numbers that a run takes after stage 2.

`config.measures` names the files. A file has

    measure(experiment, state) -> dict of plain numbers, for RUN/<name>.json

and may have faults(config), an iterator of sentences. `experiment` is of
build.py, `state` that of stage 2 after its last epoch. A measure reads both and
changes nothing. It draws by the run's seed alone, so that a run that was killed
takes the same measures again, and all processes compute the same numbers.
Options are the section of the config that has the file's name.
"""

from collections.abc import Iterator
import importlib
import logging
import pkgutil
import time
import types
from typing import Any

from ml_collections import config_dict

from fedprompt_jax.experiment.run_folder import RunFolder

_LOG = logging.getLogger(__name__)


def names() -> list[str]:
    """The names of all measures."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> types.ModuleType:
    """The module of a measure."""
    return importlib.import_module(f'{__name__}.{name}')


def faults(config: config_dict.ConfigDict) -> Iterator[str]:
    """What is wrong with `config.measures` and with what it names."""
    asked, there = config.measures, names()
    known = isinstance(asked, (tuple, list)) and set(asked) <= set(there)
    if not known or len(set(asked)) < len(asked):
        yield (
            f'config.measures={asked!r} must list some of '
            f'{", ".join(map(repr, there))}, each once, such as '
            f"'({there[0]!r},)'."
        )
        return
    if asked and config.peft == 'full':
        yield (
            f'config.measures={asked!r} needs another kind than config.peft='
            "'full', of which several clients are several models; use ()."
        )
    for name in asked:
        yield from getattr(get(name), 'faults', lambda _: ())(config)


def take(experiment: Any, run: RunFolder, state: Any) -> None:
    """Takes the measures that the config names, and records them.

    The record of a measure that is no longer asked for is removed.

    Args:
      experiment: its parts.
      run: where the records go.
      state: of stage 2, after its last epoch.
    """
    asked = experiment.config.measures
    for name in set(names()) - set(asked) if run.writes else ():
        (run.path / f'{name}.json').unlink(missing_ok=True)
    for name in asked:
        began = time.perf_counter()
        run.record(f'{name}.json', get(name).measure(experiment, state))
        seconds = time.perf_counter() - began
        _LOG.info('Measured: %s, %.0f s.', name, seconds)
