"""How a small generator function becomes a task of the embedded corpus."""

from collections.abc import Callable, Iterator
import dataclasses
import hashlib
import itertools
import random
import types

Pairs = Iterator[tuple[str, list[str]]]

SIZE = 240  # instances a task aims at
LEAST = 200  # fewer than this is an error
TRIES = 6000  # pairs drawn before a task is given up
LABELS = 12  # a task with as many answers or fewer chooses a label


@dataclasses.dataclass(frozen=True)
class Task:
    """One task: what it is called, what it asks for and where it comes from."""

    name: str
    category: str
    definition: str
    why: str  # explains a good answer; the same for both positive examples
    wrong: tuple[str, str, str]  # input, bad output, explanation
    reasoning: tuple[str, ...]
    domains: tuple[str, ...]
    pairs: Callable[[random.Random], Pairs]  # (input, references), any number


def task(
    category: str,
    definition: str,
    why: str,
    wrong: tuple[str, str, str],
    reasoning: tuple[str, ...] = (),
    domains: tuple[str, ...] = ('Commonsense',),
) -> Callable[[Callable[[random.Random], Pairs]], Task]:
    """A decorator that turns a generator of (input, references) into a Task.

    The function's name becomes the task's name. It is given a random.Random
    that depends on that name only, and may yield for ever; repeats are
    dropped.
    """

    def wrap(pairs: Callable[[random.Random], Pairs]) -> Task:
        name = pairs.__name__
        return Task(
            name, category, definition, why, wrong, reasoning, domains, pairs
        )

    return wrap


def tasks_of(module: types.ModuleType) -> list[Task]:
    """The tasks a module defines, in the order in which it defines them."""
    return [value for value in vars(module).values() if isinstance(value, Task)]


def distinct_pairs(task: Task) -> list[tuple[str, list[str]]]:
    """SIZE + 2 pairs with distinct inputs, or as many as the task has.

    Where a task has at most LABELS answers, as a classifier has, they are given
    in equal numbers, as far as the task goes: to answer always with the most
    frequent one is worth no more than to guess. They then come in turn, so that
    the first instances of a task are as even as all are.

    Raises:
      ValueError: two references of an input are equal, or the task answers the
        same input in two ways.
    """
    answers: dict[str, list[str]] = {}
    inputs: dict[str, list[str]] = {}  # of each first reference, as drawn
    stream = task.pairs(random.Random(task.name))
    for text, references in itertools.islice(stream, TRIES):
        if len(set(references)) < len(references):
            raise ValueError(
                f'embedded task {task.name!r}: input {text!r} has equal '
                f'references {references}; each must occur once.'
            )
        if answers.get(text, references) != references:
            raise ValueError(
                f'embedded task {task.name!r}: input {text!r} is answered by '
                f'{answers[text]} and by {references}; put both in one list.'
            )
        if text in answers or text == task.wrong[0]:
            continue
        answers[text] = references
        inputs.setdefault(references[0], []).append(text)
        rarest = min(map(len, inputs.values())) * len(inputs)
        if max(rarest, len(inputs) > LABELS and len(answers)) >= SIZE + 2:
            break
    if len(inputs) <= LABELS:  # one input of each answer in turn
        turns = itertools.zip_longest(*inputs.values())
        even = [text for turn in turns for text in turn if text is not None]
        answers = {text: answers[text] for text in even}
    return list(answers.items())[: SIZE + 2]


def build(task: Task, number: int) -> dict:
    """The task as one of SNI's JSON objects.

    Raises:
      ValueError: fewer than LEAST distinct inputs could be drawn.
    """
    pairs = distinct_pairs(task)
    if len(pairs) - 2 < LEAST:
        raise ValueError(
            f'embedded task {task.name!r} has {len(pairs) - 2} distinct '
            f'instances after {TRIES} draws; {LEAST} are needed: add words or '
            'templates.'
        )
    # The second example answers differently: a classifier shows two labels.
    others = (i for i, pair in enumerate(pairs) if pair[1] != pairs[0][1])
    second = next(others, 1)
    shown = [pairs[0], pairs.pop(second)]
    pairs = pairs[1:]
    text, bad, reason = task.wrong
    return {
        'Contributors': ['fedprompt_jax'],
        'Source': ['synthetic'],
        'URL': [],
        'Categories': [task.category],
        'Reasoning': list(task.reasoning),
        'Definition': [task.definition],
        'Input_language': ['English'],
        'Output_language': ['English'],
        'Instruction_language': ['English'],
        'Domains': list(task.domains),
        'Positive Examples': [
            {'input': text, 'output': references[0], 'explanation': task.why}
            for text, references in shown
        ],
        'Negative Examples': [
            {'input': text, 'output': bad, 'explanation': reason}
        ],
        'Instances': [
            {'id': instance_id(number, text), 'input': text, 'output': refs}
            for text, refs in pairs
        ],
        'Instance License': ['Apache-2.0'],
    }


def instance_id(number: int, text: str) -> str:
    """SNI's form of an id, from the task's number and a hash of the input."""
    return f'task{number:03d}-{hashlib.sha256(text.encode()).hexdigest()[:32]}'
