"""Keys that may change between two starts of a run, and what follows.

A checkpoint holds nothing that depends on where a run ends. A run that
continues to more rounds or epochs therefore ends as one that was configured
with them from the start: with the same bits, or up to rounding (with a warning)
where so many local steps are packed into rows of another shape (packers.LONG).
"""

from collections.abc import Mapping
import enum
from typing import Any

from fedprompt_jax.federated import schedules

# Key -> (value before, value now).
Changes = Mapping[str, tuple[Any, Any]]


class Start(enum.IntEnum):
    """The points from which a run may be computed again, the earliest first."""

    ROUND = 0
    STAGE_2 = 1
    EPOCH = 2
    AVERAGES = 3
    MEASURES = 4


# Options of measures; without config.measures nothing reads them.
OF_MEASURES = (
    'heterogeneity.clients', 'heterogeneity.examples', 'landscape.examples',
    'landscape.points', 'landscape.span', 'landscape.clients',
    'landscape.random', 'landscape.lanczos_steps', 'landscape.eigenvalues',
)  # fmt: skip
# Key -> where a run starts again when it changes. A change of a key that is
# neither here nor in run_folder.FREE_KEYS makes another run.
KEYS = {
    'rounds': Start.ROUND,
    'evaluation.choices': Start.STAGE_2,
    'evaluation.few_shot': Start.STAGE_2,
    'evaluation.max_new_tokens': Start.STAGE_2,
    'evaluation.batch_size': Start.STAGE_2,
    'personalization.every': Start.STAGE_2,
    'personalization.epochs': Start.EPOCH,
    'personalization.alphas': Start.AVERAGES,
    'measures': Start.MEASURES,
    **dict.fromkeys(OF_MEASURES, Start.MEASURES),
}
_WORDS = {
    Start.ROUND: 'stage 1 resumes after its last round, and stage 2 starts '
    'again with the prompt that is chosen then',
    Start.STAGE_2: 'stage 2 starts again',
    Start.EPOCH: 'stage 2 resumes after its last epoch',
    Start.AVERAGES: 'the averages are scored again',
    Start.MEASURES: 'the measures are taken again',
}


def start(changes: Changes) -> Start:
    """The earliest point from which one of the changes needs a new start."""
    return min((KEYS[key] for key in changes), default=Start.AVERAGES)


def restarts_stage_2(changes: Changes) -> bool:
    """Whether stage 2 has to start again from its beginning."""
    return bool(changes) and start(changes) <= Start.STAGE_2


def describe(changes: Changes) -> str:
    """What changes, in words: 'was a run of rounds=2; it now continues ...'."""
    old = ', '.join(f'{key}={pair[0]!r}' for key, pair in changes.items())
    new = ', '.join(f'{key}={pair[1]!r}' for key, pair in changes.items())
    words = _WORDS[start(changes)]
    return f'was a run of {old}; it now continues to {new}: {words}'


def faults(
    changes: Changes, config: Mapping[str, Any], rounds: int, epochs: int
) -> list[str]:
    """Lines that say why a run cannot continue with these changes.

    Fewer rounds or epochs are requested than were done; or rounds that were
    done would have had other learning rates.

    Args:
      changes: changes of the config.
      config: the config of this start, as nested dicts.
      rounds: rounds of stage 1 that are done.
      epochs: epochs of stage 2 that are done.
    """
    done = {'rounds': rounds}
    if not restarts_stage_2(changes):
        done['personalization.epochs'] = epochs
    lines = [
        f'config.{key}={changes[key][1]} is less than the {count} that are '
        f'done there; use at least {count}'
        for key, count in done.items()
        if key in changes and changes[key][1] < count
    ]
    for side in ('client', 'server') if 'rounds' in changes else ():
        schedule = config[side]['schedule']
        if rounds and schedules.depends_on_rounds(schedule):
            lines.append(
                f'config.{side}.schedule={schedule!r} depends on '
                f'config.rounds, which was {changes["rounds"][0]}; keep it'
            )
    return lines


def validated_before(changes: Changes, rounds: int) -> str:
    """A warning that validations up to `rounds` had other settings, or ''."""
    old = ', '.join(
        f'config.{key}={pair[0]!r} (now {pair[1]!r})'
        for key, pair in changes.items()
        if key in ('evaluation.choices', 'evaluation.max_new_tokens')
    )
    if not old or not rounds:
        return ''
    return (
        f'Validations of the rounds up to {rounds} were computed with {old}; '
        'they took part in the choice of the prompt for stage 2 and were not '
        'computed again.'
    )
