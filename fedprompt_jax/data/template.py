"""How an instance becomes a query: the template and its separator."""

import re

FIELDS = ('input', 'definition')
_FIELD = re.compile(r'\{(\w*)\}')


def faults(template: str) -> list[str]:
    """What is wrong with config.data.template, a sentence a fault."""
    fields = _FIELD.findall(template)
    unknown = sorted(set(fields) - set(FIELDS))
    found = [
        f'config.data.template={template!r} has the unknown field '
        f'{{{name}}}; use {{input}} and {{definition}}.'
        for name in unknown
    ]
    if 'input' not in fields:
        found.append(
            f'config.data.template={template!r} must contain {{input}}.'
        )
    return found


def fill(template: str, **values: str) -> str:
    """The template with its fields replaced, each once and none in a value.

    >>> fill('{definition} {input}', definition='Say {input}.', input='a')
    'Say {input}. a'
    """
    return _FIELD.sub(lambda match: values[match[1]], template)
