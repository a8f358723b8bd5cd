"""The metadata of a GGUF file, read with all faults collected."""

import math
from pathlib import Path
import reprlib
from typing import Any

import numpy as np

_SHOWN = 8  # faults; where one number is wrong, every tensor can be
_MOST = float(np.finfo(np.float32).max)
_WORDS = {
    bool: 'true or false',
    float: 'a number',
    int: 'an integer',
    str: 'a string',
}


class Metadata:
    """Metadata by their types, and what is wrong with them.

    Attributes:
      path: of the file.
      fields: metadata by their whole keys.
      arch: general.architecture.
      faults: sentences.
    """

    def __init__(self, path: Path, fields: dict[str, Any]) -> None:
        self.path, self.fields = path, fields
        self.arch = self.field('general.architecture', str)
        self.faults: list[str] = []

    def raise_faults(self) -> None:
        """Raises ValueError if there is any fault."""
        if self.faults:
            more = len(self.faults) - _SHOWN
            shown = self.faults[:_SHOWN] + [f'and {more} more'] * (more > 0)
            raise self.error('; '.join(shown))

    def error(self, what: str) -> ValueError:
        """An error that names the file."""
        return ValueError(f'{self.path}: {what}')

    def field(self, key: str, kind: type, default: Any = None) -> Any:
        """A value of metadata; ValueError if it is of another type."""
        value = self.fields.get(key, default)
        if value is not None and type(value) is not kind:
            raise self.error(
                f'{key}={reprlib.repr(value)} must be {_WORDS[kind]}; use '
                'the checkpoint in safetensors.'
            )
        return value

    def listed(self, key: str, kind: type) -> list[Any] | None:
        """A list of metadata; ValueError if it is none of such entries."""
        values = self.fields.get(key)
        if values is None:
            return None
        if type(values) is not list or {type(x) for x in values} - {kind}:
            raise self.error(
                f'{key}={reprlib.repr(values)} must be a list, each entry '
                f'{_WORDS[kind]}; use the checkpoint in safetensors.'
            )
        return values

    def get(self, key: str, default: Any = None) -> Any:
        """A setting of the architecture."""
        return self.fields.get(f'{self.arch}.{key}', default)

    def size(self, key: str, default: int | None = None) -> int:
        """A positive integer; without a default it must be there."""
        value = self.get(key, default)
        if value is None:
            self.faults.append(f'{self.arch}.{key} is missing')
            return 1
        if type(value) is not int or not 0 < value < 1 << 31:
            self.faults.append(
                f'{self.arch}.{key}={reprlib.repr(value)} must be a positive '
                'integer of 31 bits'
            )
            return 1
        return value

    def optional_size(self, key: str) -> int | None:
        """A positive integer; None where it is absent or 0."""
        return self.size(key) if self.get(key) not in (None, 0) else None

    def real(
        self, key: str, default: float | None = None, least: float = 0.0
    ) -> float:
        """A float32 as the shortest decimal that stands for it: 1e-05.

        It is above 0 and at least `least`; or 0, where that is the default.
        """
        value = self.get(key, default)
        if value is None:
            self.faults.append(f'{self.arch}.{key} is missing')
            return 1.0
        short = math.nan
        if type(value) in (int, float) and abs(value) <= _MOST:
            short = float(str(np.float32(value)))
        if short == default == 0 or (short > 0 and short >= least):
            return short
        self.faults.append(
            f'{self.arch}.{key}={reprlib.repr(value)} must be a '
            + (f'number from {least} on' if least else 'positive number')
        )
        return 1.0

    def only(self, key: str, *allowed: Any) -> Any:
        """A setting of which the decoder computes these values alone."""
        value = self.get(key)
        if value not in allowed:
            self.faults.append(
                f'{self.arch}.{key}={reprlib.repr(value)} is not supported, '
                f'only {allowed[-1]!r}'
            )
        return value
