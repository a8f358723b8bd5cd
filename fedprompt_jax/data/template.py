"""How an instance becomes a query and a target: the templates."""

from collections.abc import Iterator
import re
from typing import Any

FIELDS = ('input', 'definition', 'pair', 'mask')
_FIELD = re.compile(r'\{(\w*)\}')


def faults(template: str, target: str = '{output}') -> list[str]:
    """What is wrong with config.data.template and target, a sentence each."""
    return [
        *_faults('template', template, 'input', FIELDS),
        *_faults('target', target, 'output', ('output',)),
    ]


def _faults(
    key: str, text: str, needed: str, known: tuple[str, ...]
) -> Iterator[str]:
    fields = _FIELD.findall(text)
    names = ', '.join(f'{{{name}}}' for name in known)
    for name in sorted(set(fields) - set(known)):
        yield (
            f'config.data.{key}={text!r} has the unknown field {{{name}}}; '
            f'the fields are {names}.'
        )
    if needed not in fields:
        yield f'config.data.{key}={text!r} must contain {{{needed}}}.'


def put_mask(text: str, tokenizer: Any) -> str:
    """The template or separator with the tokenizer's mask token for {mask}.

    Raises:
      ValueError: it has no such token.
    """
    if '{mask}' not in text:
        return text
    token = getattr(tokenizer, 'mask_token', None)
    if not token:
        raise ValueError(
            f'{text!r} of config.data.template or config.data.separator has '
            "{mask}, but the model's tokenizer has no mask token; leave it "
            'out, or use a masked language model.'
        )
    return text.replace('{mask}', token)


def fill(template: str, **values: str) -> str:
    """The template with its fields replaced, each once and none in a value.

    >>> fill('{definition} {input}', definition='Say {input}.', input='a')
    'Say {input}. a'
    """
    return _FIELD.sub(lambda match: values[match[1]], template)
