"""A comparison is a row; a row is ok where its difference is small enough."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One comparison.

    Attributes:
      group: of comparisons.
      what: is compared.
      measure: what `difference` is.
      difference: ours against theirs.
      tolerance: the most it may be.
    """

    group: str
    what: str
    measure: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance  # so NaN is not


def max_abs(group: str, what: str, ours, theirs, tolerance: float) -> Row:
    """Largest absolute difference of two arrays or two lists of arrays."""
    pairs = zip(ours, theirs, strict=True)
    worst = np.max([_max_abs(np.asarray(a), np.asarray(b)) for a, b in pairs])
    return Row(group, what, 'max abs', float(worst), tolerance)


def relative(group: str, what: str, ours, theirs, tolerance: float) -> Row:
    """Norm of the difference over the norm of theirs, worst along axis 0."""
    pairs = zip(ours, theirs, strict=True)
    worst = np.max([relative_error(a, b) for a, b in pairs])
    return Row(group, what, 'relative', float(worst), tolerance)


def differing(group: str, what: str, ours: Sequence, theirs: Sequence) -> Row:
    """How many entries of two lists are not equal; none may be."""
    pairs = zip(ours, theirs, strict=True)
    count = sum(not np.array_equal(a, b) for a, b in pairs)
    return Row(group, what, f'differ of {len(ours)}', count, 0)


def relative_error(ours, theirs) -> float:
    """|ours - theirs| / |theirs|, Frobenius norms in float64."""
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    _require_same_shape(ours, theirs)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def _max_abs(a: np.ndarray, b: np.ndarray) -> float:
    _require_same_shape(a, b)
    return float(np.abs(a - b).max())


def _require_same_shape(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ValueError(f'ours has shape {a.shape}, theirs {b.shape}.')


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The table as text."""
    width = max((len(r.what) for r in rows), default=0)
    head = f'{"comparison":10} {"what":{width}} {"measure":14}'
    yield f'{head} {"difference":>10} {"tolerance":>9} ok'
    for r in rows:
        yield (
            f'{r.group:10} {r.what:{width}} {r.measure:14} '
            f'{r.difference:10.2g} {r.tolerance:9.0e} '
            f'{"ok" if r.ok else "FAIL"}'
        )


# Column of the summary -> (group, words that what is compared has).
COLUMNS = {
    'padded': ('logits', 'padded batch'),
    'packed': ('logits', 'packed rows'),
    'cached': ('logits', 'cached'),
    'greedy': ('greedy', ''),
    'prompt': ('PEFT', ''),
    'prefix': ('kinds', 'prefix'),
    'lora': ('kinds', 'lora'),
    'ia3': ('kinds', 'ia3'),
    'adapter': ('others', 'bottleneck'),
    'lpt': ('others', 'late'),
    'idpg': ('others', 'query'),
    'attempt': ('others', 'mixture'),
}


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """A line a model: its largest difference in each column.

    Of logits the absolute difference, of greedy texts the number that differ,
    of a kind's losses and gradients the relative one.
    """
    models = dict.fromkeys(r.what.partition(':')[0] for r in rows)
    yield f'{"model":14}' + ''.join(f'{name:>9}' for name in COLUMNS)
    for model in models:
        own = [r for r in rows if r.what.startswith(f'{model}:')]
        cells = []
        for group, words in COLUMNS.values():
            found = [
                r.difference
                for r in own
                if r.group == group and words in r.what
            ]
            cells.append(f'{max(found):9.2g}' if found else f'{"–":>9}')
        if any('–' not in cell for cell in cells):
            yield f'{model:14}' + ''.join(cells)
