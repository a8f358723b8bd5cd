"""The points of a line of metrics.jsonl, as plots name and place them."""

from collections.abc import Mapping
import math
from typing import Any

_AXES = ('round', 'epoch', 'step')  # a line has one of them
_OF_NAMES = ('stage', 'prompt', 'alpha', *_AXES)


def axis(line: Mapping[str, Any]) -> dict[str, int]:
    """The round, epoch or step of a line, {'round': 3} or {'epoch': 3}."""
    return {key: line[key] for key in _AXES if key in line}


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line by name; what is not finite is left out.

    >>> scalars({'stage': 'train', 'round': 3, 'loss': 2.5, 'tokens': None})
    {'train/loss': 2.5}
    >>> scalars({'stage': 'score', 'prompt': 'averaged', 'epoch': 6,
    ...          'alpha': 0.5, 'local_rouge_l': 41.2})
    {'score/averaged_0.5/local_rouge_l': 41.2}
    """
    place = [line['stage']]
    if 'prompt' in line:
        share = line['alpha']  # two averaged prompts differ by it alone
        suffix = f'_{share:g}' if line['prompt'] == 'averaged' else ''
        place.append(line['prompt'] + suffix)
    return {
        '/'.join([*place, key]): float(value)
        for key, value in line.items()
        if key not in _OF_NAMES
        and isinstance(value, (int, float))
        and math.isfinite(value)
    }
