"""One task of Super-NaturalInstructions: its JSON object, field by field.

The schema is that of the `tasks/taskNNN_*.json` files of
allenai/natural-instructions (Wang et al. 2022).
"""

from collections.abc import Mapping
import dataclasses
import json
import math
from typing import Any, NoReturn

# Field of Task <- key of the file; each a string or a list of strings.
_METADATA = {
    'source': 'Source',
    'url': 'URL',
    'reasoning': 'Reasoning',
    'domains': 'Domains',
    'input_language': 'Input_language',
    'output_language': 'Output_language',
    'instruction_language': 'Instruction_language',
    'contributors': 'Contributors',
}
# Keys that describe a task and that training does not read. There is also
# 'Instance License', for which SNI's own checks do not ask either.
OPTIONAL = (*_METADATA.values(), 'Positive Examples', 'Negative Examples')


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """One example: an input and its reference outputs (one or more).

    Attributes:
      id: tells it from the others of its data set.
      input: the text.
      outputs: the references, the first of which is trained on.
      choices: what an answer is chosen from, outputs[0] among them; () where
        the answer is free text.
      client: whose it is; '' where the data do not say.
      pair: a second text; '' where there is none.
      split: 'train', 'validation' or 'test' of the data's own splits; '' where
        they are not asked for.
      beginning: whether a generated answer is right where it begins with a
        reference (evaluation/beginnings.py).
    """

    id: str
    input: str
    outputs: tuple[str, ...]
    choices: tuple[str, ...] = ()
    client: str = ''
    pair: str = ''
    split: str = ''
    beginning: bool = False


@dataclasses.dataclass(frozen=True)
class Task:
    """One task file, its metadata as printed, its instances in their order."""

    name: str  # the file's name without .json
    definition: str  # the first one, as SNI's own code takes it
    categories: tuple[str, ...]  # never empty
    source: tuple[str, ...]
    url: tuple[str, ...]
    reasoning: tuple[str, ...]
    domains: tuple[str, ...]  # nested ones as 'History -> 9/11 Reports'
    input_language: tuple[str, ...]
    output_language: tuple[str, ...]
    instruction_language: tuple[str, ...]
    contributors: tuple[str, ...]
    positive_examples: tuple[
        Mapping[str, str], ...
    ]  # input, output, explanation
    negative_examples: tuple[Mapping[str, str], ...]
    instance_license: tuple[str, ...]
    instances: tuple[Instance, ...]  # never empty

    @property
    def task_type(self) -> str:
        """The first category: SNI's and the paper's task type."""
        return self.categories[0]


def parse_task(
    name: str, raw: Mapping[str, Any], where: str | None = None
) -> Task:
    """Returns the task that a task file's JSON object describes.

    A string is accepted wherever the schema has a list of strings, and the
    other way round for `Definition` and an example's texts (the first counts).
    NaN and null in a list of descriptive metadata mean "not given", as one
    real file has it. What training does not read (OPTIONAL, and `Instance
    License`) may be absent or null, and is empty then.

    Args:
      name: the task's name.
      raw: the object, in SNI's schema.
      where: what errors call it, a path say; the name where left out.

    Raises:
      ValueError: a field is missing, empty or of the wrong type; it names
        `where`, the field, what was found and what was needed.
    """
    where = where or name
    if not isinstance(raw, Mapping):
        fail(where, 'the file', raw, 'a JSON object with SNI task keys')
    metadata = {
        field: _strings(where, key, _given(raw, key))
        for field, key in _METADATA.items()
    }
    return Task(
        name=name,
        definition=_text(where, 'Definition', _get(where, raw, 'Definition')),
        categories=_categories(where, _get(where, raw, 'Categories')),
        positive_examples=_examples(where, raw, 'Positive Examples'),
        negative_examples=_examples(where, raw, 'Negative Examples'),
        instance_license=_strings(
            where, 'Instance License', _given(raw, 'Instance License')
        ),
        instances=_instances(where, _get(where, raw, 'Instances')),
        **metadata,
    )


def fail(where: str, field: str, value: Any, needed: str) -> NoReturn:
    """Raises ValueError: what was found in a field, and what was needed."""
    shown = json.dumps(value, default=repr)
    shown = shown if len(shown) <= 60 else shown[:60] + '…'
    raise ValueError(
        f'{where}: {field}: found {type(value).__name__} {shown},'
        f' needed {needed}.'
    )


def _get(where: str, raw: Mapping[str, Any], key: str, inside: str = '') -> Any:
    if key not in raw:
        near = ', '.join(map(str, raw)) or 'none'
        raise ValueError(
            f'{where}: {inside}{key} is missing; the keys there are: {near}.'
        )
    return raw[key]


def _given(raw: Mapping[str, Any], key: str) -> Any:
    """The value of an optional key; an empty list where it is not given."""
    value = raw.get(key)
    return [] if _absent(value) else value


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _strings(where: str, field: str, value: Any) -> tuple[str, ...]:
    """Descriptive metadata: a string or a list of strings, gaps left out."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        fail(where, field, value, 'a string or a list of strings')
    for i, v in enumerate(values):
        if not _is_text(v) and not _absent(v):
            fail(where, f'{field}[{i}]', v, _text_needed(v))
    return tuple(v for v in values if isinstance(v, str))


def filled(where: str, field: str, value: Any) -> tuple[str, ...]:
    """Returns a required field: at least one string, and nothing else."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        fail(where, field, value, 'a string or a list of at least one string')
    for i, v in enumerate(values):
        if not _is_text(v):
            fail(where, f'{field}[{i}]', v, _text_needed(v))
    return tuple(values)


def string(where: str, field: str, value: Any) -> str:
    """The value, which must be text; errors as `parse_task`."""
    if not _is_text(value):
        fail(where, field, value, _text_needed(value))
    return value


def _text_needed(value: Any) -> str:
    if isinstance(value, str):
        return 'a string that UTF-8 can write (no half of a surrogate pair)'
    return 'a string'


def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(where: str, field: str, value: Any) -> str:
    return filled(where, field, value)[0]


def _categories(where: str, value: Any) -> tuple[str, ...]:
    categories = filled(where, 'Categories', value)
    if not categories[0].strip():
        fail(where, 'Categories[0]', value, 'a task type that is not blank')
    return categories


def _objects(where: str, field: str, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        fail(where, field, value, 'a list of objects')
    for i, v in enumerate(value):
        if not isinstance(v, Mapping):
            fail(where, f'{field}[{i}]', v, 'an object')
    return value


def _examples(
    where: str, raw: Mapping[str, Any], key: str
) -> tuple[Mapping[str, str], ...]:
    fields = ('input', 'output', 'explanation')
    return tuple(
        {
            f: _text(
                where, f'{key}[{i}].{f}', _get(where, x, f, f'{key}[{i}].')
            )
            for f in fields
        }
        for i, x in enumerate(_objects(where, key, _given(raw, key)))
    )


def _instances(where: str, value: Any) -> tuple[Instance, ...]:
    objects = _objects(where, 'Instances', value)
    if not objects:
        fail(where, 'Instances', value, 'at least one instance')
    return tuple(_instance(where, i, x) for i, x in enumerate(objects))


def _instance(where: str, i: int, x: Mapping[str, Any]) -> Instance:
    at = f'Instances[{i}].'
    id_, input_, output = (
        _get(where, x, k, at) for k in ('id', 'input', 'output')
    )
    return Instance(
        string(where, at + 'id', id_),
        string(where, at + 'input', input_),
        filled(where, at + 'output', output),
    )
