"""The final table of a run: its scores as means over clients."""

from collections.abc import Iterable, Sequence
import math
import textwrap
from typing import Any, NamedTuple

import numpy as np

from fedprompt_jax.report.records import EXAMPLES, PROMPTS, SPLITS, Row

SCORES = {'rouge_l': 'ROUGE-L', 'exact_match': 'exact match', 'loss': 'loss'}
# The same for a run whose answers are choices: exact match is the accuracy.
CHOICE_SCORES = {
    'exact_match': 'accuracy',
    'loss': 'loss',
    'rouge_l': 'ROUGE-L',
}
SHARED = ('bare', 'initial', 'global')  # those of PROMPTS all clients share
_DIGITS = {'rouge_l': 2, 'exact_match': 2, 'loss': 3}
# Columns of a terminal.
_WIDTHS = {'rouge_l': 16, 'exact_match': 16, 'loss': 17}
_RESAMPLES = 9999


class Mean(NamedTuple):
    """A mean over clients, with its standard error and its counts.

    Attributes:
      mean: the mean; NaN where no client has a score.
      se: the standard error, sd (ddof=1) / sqrt(clients); NaN for fewer than
        two clients, and for the global score of a shared prompt, which is one
        number.
      clients: the number of scores in the mean.
      dropped: the number of clients whose score is NaN, left out of the mean.
    """

    mean: float
    se: float
    clients: int
    dropped: int


class Gain(NamedTuple):
    """A mean of paired differences, with its 95 % bootstrap interval.

    Attributes:
      mean: the mean over clients; NaN for no client.
      low: the lower end of the interval; NaN for fewer than two clients.
      high: the upper end, as `low`.
      clients: the number of pairs.
    """

    mean: float
    low: float
    high: float
    clients: int


def score_names(metric: str) -> dict[str, str]:
    """Key of a score -> its name, in the order of a table.

    Args:
      metric: the score that comes first, 'rouge_l' or 'exact_match'.
    """
    return CHOICE_SCORES if metric == 'exact_match' else SCORES


def last_epoch(rows: Iterable[Row], prompt: str = 'personalized') -> int:
    """The last epoch at which a prompt is scored; 0 where there is none."""
    epochs = (r['epoch'] for r in rows if r['prompt'] == prompt)
    return max(epochs, default=0)


def mean_of(scores: Iterable[float]) -> Mean:
    """Mean and standard error of the scores that are not NaN."""
    x = np.array(list(scores), float)
    numbers = x[~np.isnan(x)]
    mean = float(numbers.mean()) if numbers.size else math.nan
    se = math.nan
    if numbers.size > 1:
        se = float(numbers.std(ddof=1) / math.sqrt(numbers.size))
    return Mean(mean, se, numbers.size, x.size - numbers.size)


def table(rows: Sequence[Row]) -> list[Row]:
    """The final table: anchors, averages, then prompts of other labels.

    Args:
      rows: of read_tradeoff.

    Returns:
      Rows with the keys 'prompt', 'label', 'shared', 'epoch', 'alpha', 'local'
      and 'global'; the last two hold {'rouge_l', 'exact_match', 'loss'} ->
      Mean. A prompt that clients train is the one after the last epoch that
      scored it; absent prompts have no row.
    """
    return [_table_row(*key, group) for key, group in final(rows).items()]


def final(
    rows: Iterable[Row],
) -> dict[tuple[str, float | None], list[Row]]:
    """The rows behind each row of `table`: (prompt, alpha) -> rows.

    Prompts that are not among PROMPTS come last, in the order of their first
    rows. Averaged prompts have an alpha in the key; others have None, unless
    one that is not among PROMPTS was scored with several.
    """
    by_prompt: dict[str, list[Row]] = {prompt: [] for prompt in PROMPTS}
    for r in rows:
        by_prompt.setdefault(r['prompt'], []).append(r)
    groups: dict[tuple[str, float | None], list[Row]] = {}
    for prompt, prompt_rows in by_prompt.items():
        if prompt not in SHARED:
            last = last_epoch(prompt_rows, prompt)
            prompt_rows = [r for r in prompt_rows if r['epoch'] == last]
        by_alpha: dict[float | None, list[Row]] = {}
        for r in prompt_rows:
            alpha = None if math.isnan(r['alpha']) else r['alpha']
            by_alpha.setdefault(alpha, []).append(r)
        several = prompt not in PROMPTS and len(by_alpha) > 1
        if prompt == 'averaged' or several:
            for alpha in sorted(by_alpha, key=lambda a: a or 0.0):
                groups[prompt, alpha] = by_alpha[alpha]
        elif prompt_rows:
            groups[prompt, None] = prompt_rows
    return groups


def label(prompt: str, alpha: float | None = None) -> str:
    """The name of a prompt in tables and legends."""
    name = PROMPTS.get(prompt, prompt.replace('_', ' '))
    return name + ('' if alpha is None else f', α = {alpha:g}')


def is_shared(prompt: str, rows: Iterable[Row]) -> bool:
    """Whether all clients have the same prompt.

    For a label that is not among PROMPTS the rows decide. A shared prompt is
    scored before any client trains it (epoch 0) and once on the common set, so
    that all clients of a run have the same global scores, the loss to the last
    bit. The scores of one client alone decide nothing: it is not shared.

    Args:
      prompt: the label.
      rows: the rows of that prompt in tradeoff.csv.
    """
    if prompt in PROMPTS:
        return prompt in SHARED
    scores, clients = set(), set()
    for r in rows:
        if r['epoch'] > 0:
            return False
        if r['split'] == 'global':
            run = r['run'], r['seed']
            scores.add((*run, *(r[m] for m in SCORES)))
            clients.add((*run, r['client']))
    runs = {score[:2] for score in scores}
    return len(scores) == len(runs) < len(clients)


def paired_gain(
    rows: Sequence[Row], split: str, metric: str = 'rouge_l'
) -> Gain:
    """The gain of the personalized prompt over the global one.

    It is the mean over clients of the differences after the last epoch. The
    interval is the percentile bootstrap over clients, with a fixed seed.

    Args:
      rows: of read_tradeoff.
      split: 'local' or 'global'.
      metric: the score; differences are in its unit.
    """
    from scipy import stats

    before = _by_client(rows, 'global', 0, split, metric)
    last = last_epoch(rows)
    after = _by_client(rows, 'personalized', last, split, metric)
    gains = np.array([after[c] - before[c] for c in after if c in before])
    gains = gains[np.isfinite(gains)]
    if gains.size < 2:
        mean = float(gains[0]) if gains.size else math.nan
        return Gain(mean, math.nan, math.nan, gains.size)
    interval = stats.bootstrap(
        (gains,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=1000,
        method='percentile',  # BCa is undefined where all gains are equal
        rng=np.random.default_rng(0),
    ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return Gain(float(gains.mean()), low, high, gains.size)


def footnotes(
    rows: Sequence[Row], unit: str = 'nats', metric: str = 'rouge_l'
) -> list[str]:
    """Sentences under the final table: its units and the paired gains.

    Args:
      rows: of read_tradeoff.
      unit: the unit of the loss, in words.
      metric: the score of the gains.
    """
    names, gains = score_names(metric), []
    others = (r for r in table(rows) if r['prompt'] not in PROMPTS)
    shared = [*SHARED, *(r['label'] for r in others if r['shared'])]
    percent = ' and '.join(name for m, name in names.items() if m != 'loss')
    for split in SPLITS:
        g = paired_gain(rows, split, metric)
        if g.clients:
            span = f'{g.low:+.2f} to {g.high:+.2f}' if g.clients > 1 else '–'
            gains.append(f'{split} {g.mean:+.2f} [{span}, n = {g.clients}]')
    return [
        'Mean ± standard error over clients. '
        f'{percent[0].upper()}{percent[1:]} are x100, the loss is in {unit}.',
        f'A shared prompt ({", ".join(shared)}) has one global score, hence '
        'no spread over clients.',
        f'Paired gain in {names[metric]}, personalized - global prompt, 95 % '
        'bootstrap interval over clients: '
        f'{"; ".join(gains) or "no client"}.',
    ]


def cells(rows: Sequence[Row], metric: str = 'rouge_l') -> list[list[str]]:
    """The cells of the final table: a header, then a line for each prompt.

    Args:
      rows: of read_tradeoff.
      metric: the score that comes first.
    """
    names = score_names(metric)
    columns = [f'{s} {name}' for s in SPLITS for name in names.values()]
    lines = [['prompt', *columns, 'clients']]
    for r in table(rows):
        scores = [_show(r[s][m], m) for s in SPLITS for m in names]
        lines.append([r['label'], *scores, _count(r['local'][metric])])
    return lines


def whose(rows: Iterable[Row], split: str) -> str:
    """Whose examples the scores of a split are over, in words.

    Args:
      rows: of read_tradeoff.
      split: 'local' or 'global'.
    """
    keys = dict.fromkeys(r['examples'] for r in rows if r['split'] == split)
    words = [EXAMPLES[key] for key in keys if key]
    unknown = {
        'local': "each client's own examples",
        'global': 'shared examples',
    }
    return ', or '.join(words) or unknown[split]


def text_table(
    rows: Sequence[Row], unit: str = 'nats', metric: str = 'rouge_l'
) -> str:
    """The final table for a terminal: a block for each split, then footnotes.

    Args:
      rows: of read_tradeoff.
      unit: the unit of the loss, in words.
      metric: the score that comes first.
    """
    names = score_names(metric)
    prompts = table(rows)
    # The known labels fit 80 columns; a longer one makes the table wider.
    first = max([20, *(len(r['label']) + 1 for r in prompts)])
    widths = (first, *(_WIDTHS[m] for m in names), 10)
    lines = []
    for split in SPLITS:
        lines += [
            f'{split}: {whose(rows, split)}',
            _aligned(['prompt', *names.values(), 'clients'], widths),
        ]
        for r in prompts:
            scores = [_show(r[split][m], m) for m in names]
            once = split == 'global' and r['shared']
            count = 'shared' if once else _count(r[split][metric])
            lines.append(_aligned([r['label'], *scores, count], widths))
        lines.append('')
    notes = (textwrap.fill(note, 80) for note in footnotes(rows, unit, metric))
    return '\n'.join([*lines, *notes])


def markdown_table(
    rows: Sequence[Row], unit: str = 'nats', metric: str = 'rouge_l'
) -> str:
    """The final table in Markdown, followed by its footnotes.

    Args:
      rows: of read_tradeoff.
      unit: the unit of the loss, in words.
      metric: the score that comes first.
    """
    header, *body = cells(rows, metric)
    rule = ['---', *['---:'] * (len(header) - 1)]
    lines = [f'| {" | ".join(x)} |' for x in (header, rule, *body)]
    about = f'Local: {whose(rows, "local")}. Global: {whose(rows, "global")}.'
    return '\n'.join([*lines, '', about, *footnotes(rows, unit, metric)])


def _table_row(prompt: str, alpha: float | None, rows: list[Row]) -> Row:
    """The row of `table` for the rows of one prompt."""
    row: Row = {
        'prompt': prompt,
        'label': label(prompt, alpha),
        'shared': is_shared(prompt, rows),
        'epoch': rows[0]['epoch'],
        'alpha': rows[0]['alpha'],
    }
    for split in SPLITS:
        of_split = [r for r in rows if r['split'] == split]
        row[split] = {m: mean_of(r[m] for r in of_split) for m in SCORES}
    if row['shared']:
        # One prompt on one set: copies of a number have no spread.
        means = row['global']
        row['global'] = {m: x._replace(se=math.nan) for m, x in means.items()}
    return row


def _by_client(
    rows: Iterable[Row], prompt: str, epoch: int, split: str, metric: str
) -> dict[Any, float]:
    """(run, seed, client) -> score of a prompt after an epoch, on a split."""
    return {
        (r['run'], r['seed'], r['client']): r[metric]
        for r in rows
        if (r['prompt'], r['epoch'], r['split']) == (prompt, epoch, split)
    }


def _show(x: Mean, metric: str) -> str:
    """The mean ± standard error as text; a dash where there is no mean."""
    if math.isnan(x.mean):
        return '–'
    digits = _DIGITS[metric]
    spread = '' if math.isnan(x.se) else f' ± {x.se:.{digits}f}'
    return f'{x.mean:.{digits}f}{spread}'


def _count(x: Mean) -> str:
    """The number of clients in a mean, 'n of N' if some were dropped."""
    total = x.clients + x.dropped
    return f'{x.clients} of {total}' if x.dropped else f'{x.clients}'


def _aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    """A line of a terminal's table: the first cell to the left, others right.

    Args:
      texts: the cells.
      widths: the columns that each takes.
    """
    first, *rest = zip(texts, widths, strict=True)
    line = f'{first[0]:<{first[1]}}' + ''.join(f'{t:>{w}}' for t, w in rest)
    return line.rstrip()
