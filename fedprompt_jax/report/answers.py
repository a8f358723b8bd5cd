"""The answers of several prompts to the same examples, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fedprompt_jax.report import records


def side_by_side(
    folder: str | Path, prompts: Sequence[str] = ('global', 'personalized')
) -> list[dict[str, Any]]:
    """The examples of a run's clients, with the answer under each prompt.

    Args:
      folder: RUN.
      prompts: labels of tradeoff.csv; of each the answers after its last epoch.

    Returns:
      For each client and example that all these prompts have answered: client,
      task, input, references, and label -> {prediction, rouge_l (0 to 1)}. A
      prompt that all clients share answers for each of them.
    """
    lines = [
        line
        for line in records.read_predictions(folder)
        if line['prompt'] in prompts and 'references' in line  # not archived
    ]
    last: dict[str, int] = {}
    for line in lines:
        last[line['prompt']] = max(line['epoch'], last.get(line['prompt'], 0))
    answers: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for line in lines:
        if line['epoch'] == last[line['prompt']]:
            key = line['client'], line['task'], line['id'], line['input']
            answers.setdefault(line['prompt'], {})[key] = line
    found = []
    keys = {
        key: line
        for of_prompt in answers.values()
        for key, line in of_prompt.items()
        if key[0] is not None
    }
    for (client, *example), line in keys.items():
        pair = {
            prompt: of_prompt.get((client, *example))
            or of_prompt.get((None, *example))
            for prompt, of_prompt in answers.items()
        }
        if len(pair) == len(prompts) and all(pair.values()):
            found.append(
                {
                    'client': client,
                    'task': line['task'],
                    'input': line['input'],
                    'references': line['references'],
                }
                | {
                    prompt: {k: answer[k] for k in ('prediction', 'rouge_l')}
                    for prompt, answer in pair.items()
                    if answer is not None
                }
            )
    return found


Example = tuple[str, str, str]  # task, id, input


class Final(NamedTuple):
    """The answers to a run's examples, after the last epoch.

    Attributes:
      shared: lines of predictions.jsonl of the global prompt, by example.
      own: lines of the personalized prompts.
    """

    shared: dict[Example, dict[str, Any]]
    own: list[dict[str, Any]]


def final(folder: str | Path) -> Final:
    """The answers of the global and of the personalized prompts of a run.

    Lines of an older version, which did not keep whether an example is local or
    common, are left out.

    Args:
      folder: RUN.
    """
    shared: dict[Example, dict[str, Any]] = {}
    own: list[dict[str, Any]] = []
    last = 0
    for line in records.read_predictions(folder):
        if line['prompt'] == 'global':
            shared[example_of(line)] = line
        elif line['prompt'] == 'personalized' and 'splits' in line:
            if line['epoch'] > last:
                last, own = line['epoch'], []
            if line['epoch'] == last:
                own.append(line)
    return Final(shared, own)


def example_of(line: dict[str, Any]) -> Example:
    """What tells an example of predictions.jsonl from all others."""
    return line['task'], line['id'], line['input']
