"""A tiny folder in the layout of Super-NaturalInstructions."""

import json
from pathlib import Path

import numpy as np

WORDS = 'river name passage review question answer positive negative'.split()


def make_data(
    folder: Path, *, types: int = 6, tasks: int = 2, instances: int = 24
) -> Path:
    """Writes folder/tasks/task*.json; returns the folder."""
    (folder / 'tasks').mkdir(parents=True)
    rng = np.random.default_rng(0)
    number = 0
    for kind in range(types):
        for _ in range(tasks):
            number += 1
            name = f'task{number:03}_of_type_{kind}'
            text = json.dumps(_task(name, kind, instances, rng))
            (folder / 'tasks' / f'{name}.json').write_text(text)
    return folder


def _task(name: str, kind: int, instances: int, rng) -> dict:
    def text(n):
        return ' '.join(rng.choice(WORDS, n))

    example = {'input': 'a', 'output': 'b', 'explanation': 'c'}
    return {
        'Contributors': ['nobody'],
        'Source': ['made up'],
        'URL': [],
        'Categories': [f'Type {kind}'],
        'Reasoning': [],
        'Definition': [f'Do what type {kind} does.'],
        'Input_language': ['English'],
        'Output_language': ['English'],
        'Instruction_language': ['English'],
        'Domains': ['None'],
        'Positive Examples': [example],
        'Negative Examples': [example],
        'Instances': [
            {
                'id': f'{name}-{i}',
                'input': f'{i} {text(rng.integers(2, 6))}',
                'output': [f'type {kind}', text(rng.integers(1, 4))][
                    : 1 + i % 2
                ],
            }
            for i in range(instances)
        ],
        'Instance License': ['Apache-2.0'],
    }
