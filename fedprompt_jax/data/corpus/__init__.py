"""The embedded corpus: SNI's schema for a machine with no data."""

import importlib

from fedprompt_jax.data.corpus import registry
from fedprompt_jax.data.corpus.tasks import FAMILIES


def generate() -> dict[str, dict]:
    """Every embedded task, by name, as SNI's JSON object, in a stable order.

    The same bytes come out in every process: each task draws from a
    `random.Random` seeded with its own name, so a new family of tasks leaves
    the instances of the others as they were.

    Raises:
      ValueError: a task has too few distinct instances, contradicts itself or
        has the name of another one.
    """
    tasks: dict[str, dict] = {}
    names: set[str] = set()
    for family in FAMILIES:
        module = importlib.import_module(
            f'fedprompt_jax.data.corpus.tasks.{family}'
        )
        for task in registry.tasks_of(module):
            if task.name in names:
                raise ValueError(
                    f'embedded task {task.name!r} ({family}.py) exists '
                    'already; give it another name.'
                )
            names.add(task.name)
            number = len(tasks) + 1
            tasks[f'task{number:03d}_{task.name}'] = registry.build(
                task, number
            )
    return tasks
