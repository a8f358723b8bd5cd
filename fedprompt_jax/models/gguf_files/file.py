"""What an architecture's file asks of a GGUF file."""

from pathlib import Path
from typing import Any

from fedprompt_jax.models.gguf_files import header, storage
from fedprompt_jax.models.gguf_files.metadata import Metadata

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


class GGUFFile(Metadata):
    """A file's metadata and tensors.

    Attributes:
      tensors: as they are stored.
      shapes: of the tensors, (out, in).
    """

    def __init__(self, path: Path) -> None:
        parsed = header.read(path)
        super().__init__(path, parsed.fields)
        self.tensors = storage.tensors(path, parsed)
        self.shapes = {t.name: t.shape for t in self.tensors}
        parts = self.field('split.count', int)
        if parts not in (None, 0, 1):
            self.faults.append(
                f'split.count={parts} is not supported: join the parts with '
                'llama-gguf-split --merge'
            )
        for key, values in _PLAIN.items():
            self.only(key, *values)

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
        """The sizes in config.json of a Llama and its relatives."""
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
