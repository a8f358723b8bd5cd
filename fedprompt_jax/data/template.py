"""How an instance becomes a query and a target: the templates."""

from collections.abc import Iterator, Sequence
import re
from typing import Any

FIELDS = ('input', 'definition', 'pair', 'mask')
_FIELD = re.compile(r'\{(\w*)\}')

# A text as models.tokenizer.Tokenizer reads it: strings, and between them the
# ids of special tokens.
Parts = list[str | int]


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


def parse(text: str, tokenizer: Any) -> Parts:
    """A template of the config, its special tokens as ids.

    {mask} and special tokens that the template spells out, such as those of a
    chat, are the tokens; its other fields stay for `fill`.

    Raises:
      ValueError: {mask} is asked of a tokenizer without a mask token.
    """
    parts: Parts = []
    for i, piece in enumerate(text.split('{mask}')):
        if i and tokenizer.mask_id is None:
            raise ValueError(
                f'{text!r} of config.data.template or config.data.separator '
                "has {mask}, but the model's tokenizer has no mask token; "
                'leave it out, or use a masked language model.'
            )
        parts += [tokenizer.mask_id] if i else []
        parts += tokenizer.with_special_tokens(piece)
    return parts


def fill(parts: Sequence[str | int], **values: str) -> Parts:
    """The parts with their fields replaced, each once and none in a value.

    >>> fill(['{definition} {input}', 7], definition='Say {input}.', input='a')
    ['Say {input}. a', 7]
    """
    return [
        _FIELD.sub(lambda match: values[match[1]], part)
        if isinstance(part, str)
        else part
        for part in parts
    ]


def join(*texts: Parts) -> Parts:
    """The texts one after the other, as few strings as there can be.

    >>> join(['a', 7], ['b'], ['c'])
    ['a', 7, 'bc']
    """
    parts: Parts = []
    for part in (part for text in texts for part in text):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        elif part != '':
            parts.append(part)
    return parts


def give_spaces(query: Parts, target: Parts) -> tuple[Parts, Parts]:
    """Query and target, the spaces that end the query before the target.

    lm-eval's rule: most tokenizers make one token of a word and the space
    before it, so that a model never reads a space and then the word.

    >>> give_spaces(['Answer: '], ['yes'])
    (['Answer:'], [' yes'])
    """
    if not query or not isinstance(query[-1], str):
        return query, target
    words = query[-1].rstrip(' ')
    spaces = query[-1][len(words) :]
    return join(query[:-1], [words]), join([spaces], target)
