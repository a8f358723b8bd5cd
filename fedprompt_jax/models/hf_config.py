"""Hugging Face's config.json, read with all its faults collected."""

from collections.abc import Mapping
import math
from typing import Any

from fedprompt_jax.models.config import Rotary

_LARGEST = 2**31  # sizes are int32 on the devices


class HFConfig:
    """The fields of a config.json; null counts as absent.

    Every fault goes to `faults` and a usable value comes back, so that one
    error can list them all.

    Attributes:
      fields: the file.
      faults: sentences.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.faults: list[str] = []
        self.only('quantization_config', None)

    def raise_faults(self) -> None:
        """Raises ValueError if there is any fault."""
        if self.faults:
            raise ValueError(
                'config.json of the model: ' + '; '.join(self.faults)
            )

    def get(self, key: str, default: Any = None) -> Any:
        """The field, where HF writes null for 'take the default'."""
        value = self.fields.get(key)
        return default if value is None else value

    def size(self, key: str, default: int | None = None) -> int:
        """A positive integer."""
        value = self.get(key, default)
        if type(value) is not int or not 0 < value < _LARGEST:
            self.faults.append(
                f'{key}={value!r} must be a positive integer below 2^31'
            )
            return 1
        return value

    def real(self, key: str, default: float) -> float:
        """A finite number."""
        value = self.get(key, default)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            self.faults.append(f'{key}={value!r} must be a number')
            return default
        return float(value)

    def only(self, key: str, *allowed: Any, default: Any = None) -> Any:
        """A field of which these values alone are computed."""
        value = self.get(key, default)
        if value not in (allowed or (None,)):
            words = ' or '.join(map(repr, allowed))
            self.faults.append(
                f'{key}={value!r} is not supported, only {words}'
            )
            return allowed[0]
        return value

    def choice(self, key: str, choices: Mapping[str, str], default: str) -> str:
        """The value that a field's value stands for."""
        value = self.get(key, default)
        if value not in choices:
            self.faults.append(
                f'{key}={value!r} is not supported, only '
                f'{" or ".join(map(repr, choices))}'
            )
        return choices.get(value, choices[default])

    def heads(self, width: int) -> tuple[int, int, int]:
        """Query heads, key heads and the size of a head."""
        n = self.size('num_attention_heads')
        groups = self.size('num_key_value_heads', n)
        if n % groups:
            self.faults.append(
                f'num_attention_heads={n} must be a multiple of '
                f'num_key_value_heads={groups}'
            )
        if self.get('head_dim') is None and width % n:
            self.faults.append(
                f'hidden_size={width} must be a multiple of '
                f'num_attention_heads={n} where head_dim is not given'
            )
        return n, groups, self.size('head_dim', max(1, width // n))

    def rotary(self, head_dim: int, fraction: float = 1.0) -> Rotary:
        """Rotary embeddings in the keys of transformers 4 or of 5."""
        rope = self.get('rope_parameters') or {}
        named = [rope.get('rope_theta'), self.get('rope_theta')]
        thetas = [x for x in named if x is not None] or [10000.0]
        if len(set(thetas)) > 1:
            self.faults.append(
                f'rope_parameters has rope_theta={thetas[0]} but rope_theta='
                f'{thetas[1]}: delete one of the two'
            )
        scaling = self.get('rope_scaling')
        key = 'rope_parameters' if scaling is None else 'rope_scaling'
        return self.rotary_of(
            key, rope if scaling is None else scaling, thetas[0], head_dim,
            fraction,
        )  # fmt: skip

    def rotary_of(
        self,
        key: str,
        rope: Mapping[str, Any],
        theta: float,
        head_dim: int,
        fraction: float = 1.0,
    ) -> Rotary:
        """The rotary embeddings of one dictionary, which stands under `key`."""
        kind = rope.get('rope_type', rope.get('type', 'default'))
        part = rope.get('partial_rotary_factor')
        fraction = fraction if part is None else part
        turned = int(head_dim * fraction)
        if turned % 2 or not 0 < fraction <= 1:
            self.faults.append(
                f'{key}: head_dim={head_dim} times partial_rotary_factor='
                f'{fraction} must be even: rotary embeddings turn pairs'
            )
        if kind == 'default':
            return Rotary(float(theta), float(fraction))
        if kind == 'linear':
            factor = self._part(key, rope, 'factor')
            return Rotary(float(theta), float(fraction), factor)
        if kind == 'llama3':
            names = ('factor', 'low_freq_factor', 'high_freq_factor')
            factor, low, high = (self._part(key, rope, n) for n in names)
            original = rope.get(
                'original_max_position_embeddings',
                self.get('max_position_embeddings', 2048),
            )
            return Rotary(
                float(theta),
                float(fraction),
                llama3=(factor, low, high, float(original)),
            )
        self.faults.append(
            f"{key} has rope_type={kind!r}, only 'default', 'linear' and "
            "'llama3' are supported"
        )
        return Rotary(float(theta), float(fraction))

    def _part(self, key: str, rope: Mapping[str, Any], name: str) -> float:
        value = rope.get(name)
        if isinstance(value, (int, float)) and value > 0:
            return float(value)
        self.faults.append(f'{key} has {name}={value!r}, a number is needed')
        return 1.0

    def local_layers(self, num_layers: int) -> tuple[bool, ...]:
        """The layers that have a sliding window by layer_types."""
        kinds = self.get('layer_types')
        known = {'full_attention', 'sliding_attention'}
        if not kinds or len(kinds) != num_layers or set(kinds) - known:
            self.faults.append(
                f'layer_types={kinds!r} must name {num_layers} layers as '
                f'{" or ".join(sorted(known))}'
            )
            return (False,) * num_layers
        return tuple(kind == 'sliding_attention' for kind in kinds)
