"""The costs of a run as tables: bytes sent, tokens, operations, seconds."""

from collections.abc import Iterable, Sequence
import math

from fedprompt_jax.report.records import Row

_EVALUATION = 'evaluation'
_BEFORE = 'before the rounds'  # every other stage of metrics.jsonl
_STAGES = {
    'train': 'training',
    'personalize': 'personalization',
    **dict.fromkeys(('validation', 'views', 'score'), _EVALUATION),
}


def traffic(
    lines: Sequence[Row], clients_per_round: int | None
) -> list[list[str]]:
    """A table of the communication of training: a header, then two directions.

    Args:
      lines: of metrics.jsonl; bytes_up and bytes_down are a round's, over all
        clients.
      clients_per_round: C, or None where it is not known.
    """
    train = [x for x in lines if x.get('stage') == 'train']
    table = [['direction', 'a client a round', 'a round', 'in all']]
    for label, key in (
        ('up: clients to server', 'bytes_up'),
        ('down: server to clients', 'bytes_down'),
    ):
        total = _total(train, key)
        each = total / len(train) if train else math.nan
        one = each / clients_per_round if clients_per_round else math.nan
        table.append([label, *map(size, (one, each, total))])
    return table


def computation(lines: Sequence[Row], seconds: float | None) -> list[list[str]]:
    """A table of the computation by stage: a header, then the stages.

    Args:
      lines: of metrics.jsonl.
      seconds: seconds of the whole run, or None where they are not known. The
        row 'rest' has those that no line of metrics.jsonl counts.
    """
    stages = _by_stage(lines)
    spent = {s: _total(x, 'seconds') for s, x in stages.items()}
    logged = math.fsum(spent.values())
    whole = max(seconds or 0.0, logged)
    table = [['stage', 'seconds', 'share of time', 'tokens', 'FLOPs']]
    for stage, s in spent.items():
        work = (_total(stages[stage], key) for key in ('tokens', 'flops'))
        table.append([stage, f'{s:,.1f}', share(s, whole), *map(count, work)])
    rest = whole - logged
    seconds_besides = [f'{rest:,.1f}', share(rest, whole)]
    table += [
        [
            'rest: start, figures',
            *(['–'] * 2 if seconds is None else seconds_besides),
            *['–'] * 2,
        ],
        [
            'in all',
            f'{whole:,.1f}',
            share(whole, whole),
            *(count(_total(lines, key)) for key in ('tokens', 'flops')),
        ],
    ]
    return table


def evaluation_share(lines: Sequence[Row]) -> float:
    """The share of scoring in the seconds of all stages; NaN for no seconds.

    Args:
      lines: of metrics.jsonl.
    """
    spent = {s: _total(x, 'seconds') for s, x in _by_stage(lines).items()}
    whole = math.fsum(spent.values())
    return spent[_EVALUATION] / whole if whole else math.nan


def evaluation(lines: Sequence[Row]) -> str:
    """A sentence on scoring's share of the time, and on what bounds it.

    Args:
      lines: of metrics.jsonl, at least one with seconds.
    """
    return (
        f'Scoring took {100 * evaluation_share(lines):.0f} % of the time of '
        'all stages: config.validation.every and config.personalization.every '
        'say how often, clients and examples of config.validation and clients, '
        'eval_examples, global_examples and alphas of config.personalization '
        'how much is scored.'
    )


def dropped(lines: Sequence[Row]) -> list[str]:
    """A sentence for each stage in which clients turned non-finite."""
    sentences = []
    rounds = [n for n in _dropped(lines, 'train') if n]
    if rounds:
        sentences.append(
            f'Training left out {sum(rounds)} client update(s) that turned '
            f'non-finite, in {len(rounds)} round(s).'
        )
    # A non-finite prompt stays so: the last epoch counts all of them.
    lost = _dropped(lines, 'personalize')[-1:]
    if any(lost):
        sentences.append(
            f'Personalization lost {lost[0]} client(s) whose prompt turned '
            'non-finite; they are left out of the means.'
        )
    return sentences


def size(x: float) -> str:
    """A number of bytes in the largest unit that fits, such as '1.5 KiB'."""
    if math.isnan(x):
        return '–'
    units = ('bytes', 'KiB', 'MiB', 'GiB', 'TiB')
    power = min(int(math.log(x, 1024)), len(units) - 1) if x >= 1 else 0
    return f'{x / 1024**power:,.{1 if power else 0}f} {units[power]}'


def count(x: float) -> str:
    """A count, in powers of ten where it is long; a dash for none."""
    if not x:
        return '–'
    return f'{x:,.0f}' if x < 1e9 else f'{x:.3g}'


def share(part: float, whole: float) -> str:
    """The share of a part in percent; a dash if the whole is 0."""
    return f'{100 * part / whole:.1f} %' if whole else '–'


def _by_stage(lines: Sequence[Row]) -> dict[str, list[Row]]:
    """The lines of each part of a run; of stages before it, if it has any."""
    stages: dict[str, list[Row]] = {s: [] for s in _STAGES.values()}
    for line in lines:
        name = _STAGES.get(str(line.get('stage')), _BEFORE)
        stages.setdefault(name, []).append(line)
    return stages


def _dropped(lines: Sequence[Row], stage: str) -> list[int]:
    lines_of_stage = (x for x in lines if x.get('stage') == stage)
    return [int(_value(x, 'clients_dropped')) for x in lines_of_stage]


def _total(lines: Iterable[Row], key: str) -> float:
    return math.fsum(_value(x, key) for x in lines)


def _value(line: Row, key: str) -> float:
    """The number that a line has under a key; 0 where it has none."""
    value = line.get(key, 0.0)
    return 0.0 if math.isnan(value) else value
