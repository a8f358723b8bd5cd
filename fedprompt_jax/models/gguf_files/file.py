"""A GGUF file's metadata and tensors, read with all faults collected."""

import math
from pathlib import Path
import reprlib
from typing import Any

import numpy as np

from fedprompt_jax.models.gguf_files import header, storage

# Settings that change what a model computes, and the values that do not.
_PLAIN: dict[str, tuple[Any, ...]] = {
    'expert_count': (None, 0),
    'pooling_type': (None, 0),
    'attention.causal': (None, True),
    'attention.scale': (None, 0.0),
    'attention.clamp_kqv': (None, 0.0),
    'attention.max_alibi_bias': (None, 0.0),
    'embedding_scale': (None, 0.0, 1.0),
    'residual_scale': (None, 0.0, 1.0),
    'logit_scale': (None, 0.0, 1.0),
    'rope.scaling.attn_factor': (None, 0.0, 1.0),
}


_SHOWN = 8  # faults; where one number is wrong, every tensor can be
_MOST = float(np.finfo(np.float32).max)
_WORDS = {
    bool: 'true or false',
    float: 'a number',
    int: 'an integer',
    str: 'a string',
}


class GGUFFile:
    """What an architecture's file asks of a GGUF file.

    Attributes:
      path: of the file.
      fields: metadata by their whole keys.
      tensors: as they are stored.
      arch: general.architecture.
      shapes: of the tensors, (out, in).
      faults: sentences.
    """

    def __init__(self, path: Path) -> None:
        found = header.read(path)
        self.path, self.fields = path, found.fields
        self.tensors = storage.tensors(path, found)
        self.arch = self.field('general.architecture', str)
        self.shapes = {t.name: t.shape for t in self.tensors}
        self.faults: list[str] = []
        if self.fields.get('split.count') not in (None, 0, 1):
            self.faults.append(
                f'split.count={self.fields["split.count"]} is not supported: '
                'join the parts with llama-gguf-split --merge'
            )
        for key, values in _PLAIN.items():
            self.only(key, *values)

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

    def layers(self) -> int:
        """Number of layers, each of which has tensors."""
        layers = self.size('block_count')
        if layers > len(self.shapes):
            self.faults.append(
                f'{self.arch}.block_count={layers} is more than the '
                f'{len(self.shapes)} tensors'
            )
            return 1
        return layers

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

    def heads(self) -> tuple[int, int, int]:
        """Query heads, key heads and the size of a head."""
        heads = self.size('attention.head_count')
        width = self.size('embedding_length')
        head_dim = self.size('attention.key_length', max(1, width // heads))
        self.only('attention.value_length', None, head_dim)
        groups = self.size('attention.head_count_kv', heads)
        if not self.faults:
            self._check_heads(heads, groups, head_dim)
        return heads, groups, head_dim

    def _check_heads(self, heads: int, groups: int, head_dim: int) -> None:
        """Compares these numbers with tensors, before arrays are that large."""
        needed = {
            'attn_q': heads * head_dim,
            'attn_k': groups * head_dim,
            'attn_qkv': (heads + 2 * groups) * head_dim,
        }
        rows = {
            module: self.shapes[f'blk.0.{module}.weight'][0]
            for module in needed
            if f'blk.0.{module}.weight' in self.shapes
        }
        if not {'attn_q', 'attn_qkv'} & rows.keys():
            self.faults.append('blk.0.attn_q.weight is missing')
        self.faults += [
            f'blk.0.{module}.weight has {n} rows, but {heads} heads (of keys: '
            f'{groups}) of {head_dim} numbers need {needed[module]}'
            for module, n in rows.items()
            if n != needed[module]
        ]

    def sizes(self) -> dict[str, Any]:
        """What config.json has of a Llama's sizes, and of its relatives'."""
        heads, groups, head_dim = self.heads()
        self.only('rope.dimension_count', None, head_dim)
        if head_dim % 2:
            self.faults.append(f'heads of {head_dim} numbers have no halves')
        return {
            'vocab_size': self.vocab_size(),
            'hidden_size': self.size('embedding_length'),
            'intermediate_size': self.size('feed_forward_length'),
            'num_hidden_layers': self.layers(),
            'num_attention_heads': heads,
            'num_key_value_heads': groups,
            'head_dim': head_dim,
        }

    def rope_scaling(self) -> dict[str, Any] | None:
        """HF's rope_scaling; None where wavelengths are as they are."""
        kind = self.only('rope.scaling.type', 'linear', None, 'none')
        old = self.real('rope.scale_linear', 0.0, 1.0)
        factor = self.real('rope.scaling.factor', old, 1.0)
        if kind == 'none' or factor in (0.0, 1.0):
            return None
        return {'rope_type': 'linear', 'factor': factor}

    def vocab_size(self) -> int:
        """Rows of the embedding table."""
        if 'token_embd.weight' not in self.shapes:
            self.faults.append('token_embd.weight is missing')
            return 1
        return self.shapes['token_embd.weight'][0]

    @property
    def tied(self) -> bool:
        """Whether the embedding table is the output projection too."""
        return 'output.weight' not in self.shapes
