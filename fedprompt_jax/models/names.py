"""Which tensors of a checkpoint fill which leaves of the parameter tree."""

import re
from typing import NamedTuple


class Name(NamedTuple):
    """A rule for the tensors of one leaf.

    Attributes:
      pattern: regex of the whole name; its group is the layer number.
      path: the leaf, joined with '/'; '' for a buffer that is recomputed, or
        for a copy.
      transpose: the tensor is (out, in), as torch's Linear has it; kernels
        here are (in, out).
      copy_of: of a copy, the leaf that it is the same as; it is read where
        that leaf has no tensor of its own.
    """

    pattern: str
    path: str
    transpose: bool = False
    copy_of: str = ''

    def example(self, layer: int) -> str:
        """The name of a layer's tensor, with every prefix that it may have."""
        name = self.pattern.replace(r'(\d+)', str(layer))
        name = re.sub(r'\(\?:(.*?)\)\?', r'\1', name)
        return name.replace(r'\.', '.')


def in_layers(prefix: str, *rules: tuple[str, str, bool]) -> tuple[Name, ...]:
    """Rules whose names begin with `prefix`, which holds the layer's group.

    Each rule is (the rest of the name, leaf below layers/, transpose); a leaf
    of '' is not loaded.
    """
    return tuple(
        Name(
            prefix + rest.replace('.', r'\.'),
            f'layers/{leaf}' if leaf else '',
            transpose,
        )
        for rest, leaf, transpose in rules
    )


def linear(rest: str, leaf: str, bias: bool = True) -> list:
    """The rules of a torch Linear: its weight and, if it may have one, bias."""
    rules = [(f'{rest}.weight', f'{leaf}/kernel', True)]
    return rules + [(f'{rest}.bias', f'{leaf}/bias', False)] * bias


def layer_norm(rest: str, leaf: str) -> list:
    """The rules of a torch LayerNorm."""
    return [
        (f'{rest}.weight', f'{leaf}/scale', False),
        (f'{rest}.bias', f'{leaf}/bias', False),
    ]
