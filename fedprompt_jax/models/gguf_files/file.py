"""A GGUF file's metadata and tensors, read with all faults collected."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np

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


class GGUFFile:
    """What an architecture's file asks of a GGUF file.

    Attributes:
      reader: the gguf package's.
      fields: metadata by their whole keys.
      arch: general.architecture.
      shapes: of the tensors, (out, in).
      faults: sentences.
    """

    def __init__(self, path: Path) -> None:
        self.reader = _open(path)
        self.fields = {
            key: field.contents() for key, field in self.reader.fields.items()
        }
        self.arch = self.fields.get('general.architecture')
        # (GGUF writes the fastest axis first.)
        self.shapes = {
            t.name: tuple(int(n) for n in t.shape[::-1])
            for t in self.reader.tensors
        }
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
            raise ValueError('GGUF file: ' + '; '.join(self.faults))

    def get(self, key: str, default: Any = None) -> Any:
        """A setting of the architecture."""
        return self.fields.get(f'{self.arch}.{key}', default)

    def size(self, key: str) -> int:
        """A positive integer that must be there."""
        value = self.get(key)
        if value is None:
            self.faults.append(f'{self.arch}.{key} is missing')
        elif type(value) is not int or value < 1:
            self.faults.append(
                f'{self.arch}.{key}={value!r} must be a positive integer'
            )
        return value if type(value) is int and value > 0 else 1

    def real(self, key: str, default: float | None = None) -> float:
        """A float32 as the shortest decimal that stands for it: 1e-05."""
        value = self.get(key, default)
        if value is None:
            self.faults.append(f'{self.arch}.{key} is missing')
            return 1.0
        return float(str(np.float32(value)))

    def only(self, key: str, *allowed: Any) -> Any:
        """A setting of which the decoder computes these values alone."""
        value = self.get(key)
        if value not in allowed:
            self.faults.append(
                f'{self.arch}.{key}={value!r} is not supported, '
                f'only {allowed[-1]!r}'
            )
        return value

    def heads(self) -> tuple[int, int, int]:
        """Query heads, key heads and the size of a head."""
        heads = self.size('attention.head_count')
        width = self.get('embedding_length', heads)
        head_dim = self.get('attention.key_length', width // heads)
        self.only('attention.value_length', None, head_dim)
        return heads, self.get('attention.head_count_kv', heads), head_dim

    def sizes(self) -> dict[str, Any]:
        """What config.json has of a Llama's sizes, and of its relatives'."""
        heads, groups, head_dim = self.heads()
        self.only('rope.dimension_count', None, head_dim)
        return {
            'vocab_size': self.vocab_size(),
            'hidden_size': self.size('embedding_length'),
            'intermediate_size': self.size('feed_forward_length'),
            'num_hidden_layers': self.size('block_count'),
            'num_attention_heads': heads,
            'num_key_value_heads': groups,
            'head_dim': head_dim,
        }

    def rope_scaling(self) -> dict[str, Any] | None:
        """HF's rope_scaling; None where wavelengths are as they are."""
        kind = self.only('rope.scaling.type', 'linear', None, 'none')
        old = self.real('rope.scale_linear', 0.0)
        factor = self.real('rope.scaling.factor', old)
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


def _open(path: Path) -> gguf.GGUFReader:
    with path.open('rb') as file:
        if file.read(4) != b'GGUF':
            raise ValueError(f'{path} is not a GGUF file: no GGUF magic.')
    try:
        return gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError) as error:
        raise ValueError(
            f'{path} is not a whole GGUF file ({error}); download it again.'
        ) from error
