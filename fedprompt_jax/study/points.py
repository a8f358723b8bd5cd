"""The points of a study: what each overrides, its name and its config."""

from collections.abc import Iterator, Mapping, Sequence
import copy
import difflib
import hashlib
import importlib.machinery
import inspect
import math
from pathlib import Path
import re
import types
from typing import Any, NamedTuple

from ml_collections import config_dict
import numpy as np

from fedprompt_jax.experiment import config as config_lib

LONGEST = 200  # bytes of a folder's name; most file systems allow 255


class Point(NamedTuple):
    """One run of a study.

    Attributes:
      name: the name of its run folder, such as
        'client.learning_rate=0.1,seed=2'.
      overrides: dotted key of the config -> value.
      config: the whole config with these values, checked.
    """

    name: str
    overrides: dict[str, Any]
    config: config_dict.ConfigDict


def read(
    path: Path, config: config_dict.ConfigDict, files: bool = True
) -> list[Point]:
    """The points that a study's file yields, in its order.

    Args:
      path: a Python file with points() or points(config), which yields dicts
        of overrides.
      config: the config whose values are overridden; it is not changed.
      files: whether to check that data and models are on this machine.

    Raises:
      ValueError: the file, or the config of a point, is at fault; all faults
        of all points are in one message.
    """
    points: list[Point] = []
    faults = []
    for number, overrides in enumerate(_overrides(path, config)):
        where = f'{path}: point {number}, {overrides!r}: '
        try:
            point = _point(overrides, config)
            config_lib.check(point.config, files=files)
        except (ValueError, TypeError) as error:
            faults.append(f'{where}{error}')
            continue
        if any(point.overrides == other.overrides for other in points):
            faults.append(f'{where}is there already.')
        if any(point.name == other.name for other in points):
            # Values that have the same name of a folder.
            digest = hashlib.sha256(repr(overrides).encode()).hexdigest()
            point = point._replace(name=f'{point.name}~{digest[:6]}')
        points.append(point)
    if faults:
        raise ValueError('\n'.join(faults))
    if not points:
        raise ValueError(f'{path}: points() yields nothing.')
    return points


def load(path: Path) -> types.ModuleType:
    """A study's file as a module.

    Raises:
      ValueError: it does not exist, cannot be executed, or has no points().
    """
    if not path.is_file():
        raise ValueError(
            f'--study={path} does not exist; give a Python file such as '
            f'{_similar(path)}.'
        )
    loader = importlib.machinery.SourceFileLoader('study', str(path))
    module = types.ModuleType('study')
    try:
        loader.exec_module(module)
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f'{path}: {type(error).__name__}: {error}') from error
    if not callable(getattr(module, 'points', None)):
        raise ValueError(
            f'{path} has no function points(); it yields dicts such as '
            "{'client.learning_rate': 0.1}."
        )
    return module


def only(points: Sequence[Point], wanted: Sequence[str]) -> list[Point]:
    """The points that have one of the wanted values of every key.

    Args:
      points: all of them.
      wanted: 'KEY=VALUE[,VALUE ...]', keys of the config, each value as the
        config prints it.

    Raises:
      ValueError: a key is unknown, or no point has one of the values.
    """
    chosen = list(points)
    for text in wanted:
        key, equals, values = text.partition('=')
        if not equals or not values:
            raise ValueError(
                f'--only={text} must be KEY=VALUE[,VALUE ...], such as '
                'data.partition=high,low.'
            )
        try:
            there = [str(config_lib.lookup(p.config, key)) for p in chosen]
        except (KeyError, AttributeError) as error:
            near = _near(key, chosen[0])
            raise ValueError(
                f'--only={text}: there is no key {key!r}{near}.'
            ) from error
        left = [
            point
            for point, value in zip(chosen, there, strict=True)
            if any(_equal(value, wanted) for wanted in values.split(','))
        ]
        if not left:
            found = ', '.join(dict.fromkeys(there))
            raise ValueError(
                f'--only={text}: no run has this value; there are {found}.'
            )
        chosen = left
    return chosen


def _near(key: str, point: Point) -> str:
    """Keys of the config that look like this one, in words."""
    keys = [
        f'{section}.{name}'
        for section, inner in point.config.to_dict().items()
        if isinstance(inner, dict)
        for name in inner
    ]
    keys += [k for k, v in point.config.to_dict().items() if k not in keys]
    near = difflib.get_close_matches(key, keys, 2, 0.5)
    near += [k for k in keys if k.endswith(f'.{key}') and k not in near]
    return f'; near it are {", ".join(near)}' if near else ''


def _equal(value: str, wanted: str) -> bool:
    """Whether two values are the same as text or, to four digits, a number."""
    try:
        return math.isclose(float(value), float(wanted), rel_tol=1e-4)
    except ValueError:
        return value == wanted


def _similar(path: Path) -> str:
    """Files beside it with similar names, or one that is always there."""
    there = [p.name for p in path.parent.glob('*.py')]
    near = difflib.get_close_matches(path.name, there, 3)
    found = [str(path.parent / name) for name in near]
    return ' or '.join(found) or 'configs/studies/learning_rates.py'


def _overrides(path: Path, config: config_dict.ConfigDict) -> Iterator[Any]:
    """Yields what points() of a file yields, of whatever type it is.

    It gets the config if it takes an argument.
    """
    function = load(path).points
    try:
        takes_config = bool(inspect.signature(function).parameters)
        yield from function(config) if takes_config else function()
    except Exception as error:  # whatever the user's file raises
        raise ValueError(f'{path}: {type(error).__name__}: {error}') from error


def _point(overrides: Any, config: config_dict.ConfigDict) -> Point:
    """The point of some overrides, whose keys and types are checked.

    Raises:
      ValueError: a key does not exist, or its value has another type.
    """
    if not isinstance(overrides, Mapping):
        raise ValueError("must be a dict such as {'seed': 1}.")
    config = copy.deepcopy(config)
    overrides = {key: _plain(value) for key, value in overrides.items()}
    for key, value in overrides.items():
        if not isinstance(key, str):
            raise ValueError(f"the key {key!r} must be text, such as 'seed'.")
        if key.startswith('config.'):
            bare = key.removeprefix('config.')
            raise ValueError(f"leave out 'config.' of {key!r}: {bare!r}.")
        try:
            default = config_lib.lookup(config, key)
            if value is None or isinstance(default, config_dict.ConfigDict):
                raise ValueError(
                    f'{key}={value!r}: a key and its value are needed, such '
                    "as 'client.learning_rate': 0.1."
                )
            # To ConfigDict, True is an int: 'rounds': True would be a round.
            if isinstance(value, bool) and not isinstance(default, bool):
                raise TypeError(f'must be a {type(default).__name__}.')
            config.update_from_flattened_dict({key: value})
        except (KeyError, AttributeError) as error:
            message = ' '.join(str(error.args[0]).split())
            raise ValueError(f'there is no key {key!r}: {message}') from error
        except TypeError as error:
            raise ValueError(f'{key}={value!r}: {error}') from error
    return Point(name_of(overrides), overrides, config)


def _plain(value: Any) -> Any:
    """Replaces NumPy's numbers by Python's, also in a tuple or a list."""
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def name_of(overrides: Mapping[str, Any]) -> str:
    """The name of a folder for a point, after the keys that it overrides.

        >>> name_of({'client.learning_rate': 0.1, 'seed': 2})
        'client.learning_rate=0.1,seed=2'

    It is 'plain' for a point that overrides no key.
    """
    pairs = (f'{key}={_short(value)}' for key, value in overrides.items())
    return folder_name(','.join(pairs)) or 'plain'


def differing(overrides: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The overrides of several runs without what all of them have.

    >>> differing([{'seed': 1, 'rounds': 5}, {'seed': 2, 'rounds': 5}])
    [{'seed': 1}, {'seed': 2}]
    >>> differing([{'seed': 1}])
    [{'seed': 1}]
    """
    if len(overrides) < 2:
        return list(overrides)
    first, *rest = overrides
    common = {
        key
        for key, value in first.items()
        if all(key in other and other[key] == value for other in rest)
    }
    return [
        {key: value for key, value in one.items() if key not in common}
        for one in overrides
    ]


def folder_name(text: str) -> str:
    """The text as a folder's name; the end of a long one becomes its digest."""
    name = re.sub(r'[^\w.=,+~-]', '_', text)
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f'{name[: LONGEST - 9]}~{digest}'


def _short(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
