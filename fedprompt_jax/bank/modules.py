"""The linear layers of a model, found by Hugging Face's names for them."""

from collections.abc import Iterable
import re
from typing import NamedTuple

from fedprompt_jax.bank.kind import ModelInfo
from fedprompt_jax.models.sizes import repeats


class Module(NamedTuple):
    """A linear layer of every block.

    Attributes:
      path: here: ('layers', 'attention', 'query').
      names: HF's, layer by layer: 'model.layers.0.self_attn.q_proj'.
      pattern: a regex of them all.
      inputs: its kernel's first axis.
      outputs: its second.
    """

    path: tuple[str, ...]
    names: tuple[str, ...]
    pattern: str
    inputs: int
    outputs: int


def find(info: ModelInfo, targets: str, key: str) -> tuple[Module, ...]:
    """The linear layers whose last names match, in the tree's order.

    Args:
      info: of the model.
      targets: a regex of the last parts of HF's names, such as
        'q_proj|v_proj', or of the names here: 'attention/(query|value)'.
      key: of the config that says so, for the error.

    Raises:
      ValueError: nothing matches, and the names there are, are listed; or
        some layers match and others do not.
    """
    every = [_module(info, rule.path) for rule in _kernels(info)]
    pattern = re.compile(rf'(?:.*[./])?(?:{targets})')
    modules = []
    for m in every:
        hits = [n for n in m.names if pattern.fullmatch(n)]
        if hits and len(hits) < len(m.names):
            raise ValueError(
                f"{key}={targets!r} matches {hits[0]} and not all layers' "
                f'{"/".join(m.path[-2:])}; layers are trained alike: leave '
                'their numbers out.'
            )
        if hits or pattern.fullmatch('/'.join(m.path)):
            modules.append(m)
    if not modules:
        names = ', '.join(m.names[0] for m in every)
        raise ValueError(
            f'{key}={targets!r} matches none of the linear layers: {names}'
        )
    return tuple(modules)


def _kernels(info: ModelInfo):
    return [
        rule
        for rule in info.names
        if rule.path in info.shapes
        and 'layers/' in rule.path
        and rule.path.endswith('/kernel')
    ]


def _module(info: ModelInfo, path: str) -> Module:
    layers, inputs, outputs = info.shapes[path]
    layers *= repeats(info.config, path)  # each use of a layer has its own
    rule = next(r for r in info.names if r.path == path)
    names = tuple(
        rule.example(i).removesuffix('.weight') for i in range(layers)
    )
    pattern = rule.pattern.removesuffix(r'\.weight')
    parts = tuple(path.split('/')[:-1])
    return Module(parts, names, pattern, inputs, outputs)


def for_peft(modules: Iterable[Module]) -> str:
    """The regex by which PEFT finds the layers, and no others."""
    return '|'.join(m.pattern for m in modules)


def is_conv1d(info: ModelInfo, m: Module) -> bool:
    """Whether HF stores the kernel as (in, out), like GPT-2's Conv1D."""
    path = '/'.join((*m.path, 'kernel'))
    return not next(r for r in info.names if r.path == path).transpose


def pattern_faults(targets: str, key: str) -> list[str]:
    """The fault of a regex that is none."""
    try:
        re.compile(targets)
    except re.error as error:
        return [f'config.{key}={targets!r} is no regular expression: {error}.']
    return []
