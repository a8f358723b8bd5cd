"""Laws of the comparison of clients of seen and of held-out task types."""

import numpy as np
import pytest
from scipy import stats

from fedprompt_jax.report.run import Run
from fedprompt_jax.study import seen_types, table
from fedprompt_jax.study.outputs import Result
from tests import tiny_report
from tests.tiny_report import NAN, rows_of


def run_of(folder, before, after):
    """A run whose global scores are half of the local ones."""

    def scores():
        halves = ([x / 2 for x in group] for group in (before, after))
        first, last = halves
        return [
            *rows_of('global', before, first),
            *rows_of('personalized', [0] * len(after), 0, 1, 1.0),
            *rows_of('personalized', after, last, 2, 1.0),
        ]

    return Run(tiny_report.make_run(folder, scores))


def test_scores_are_of_both_prompts_after_the_last_epoch(tmp_path):
    run = run_of(tmp_path / 'a', [10, 20, 30], [14, NAN, 38])
    found, seeds = seen_types.scores([run], 'rouge_l')
    expected = [[[10, 5], [14, 7]], [[30, 15], [38, 19]]]
    np.testing.assert_array_equal(found, expected)
    assert seeds.tolist() == [0, 0]
    gains = [seen_types.gain(s)(found).tolist() for s in ('local', 'global')]
    assert gains == [[4, 8], [2, 4]]


def clients(n, mean, rng):
    scores = rng.normal(0, 3, (n, 2, 2))
    scores[:, 1] += mean
    return scores, np.zeros(n, int)


def test_an_unpaired_interval_is_welch_s_for_many_clients():
    rng = np.random.default_rng(0)
    a, b = clients(200, 5.0, rng), clients(150, 2.0, rng)
    found = seen_types.unpaired(seen_types.gain('local'), a, b)
    gains = [x[:, 1, 0] - x[:, 0, 0] for x, _ in (a, b)]
    theirs = stats.ttest_ind(*gains, equal_var=False).confidence_interval()
    assert found.estimate == pytest.approx(gains[0].mean() - gains[1].mean())
    assert found.low == pytest.approx(theirs.low, abs=0.12)
    assert found.high == pytest.approx(theirs.high, abs=0.12)
    assert (found.seeds, found.clients) == (1, 350)


def test_intervals_cover_the_truth_at_their_rate():
    """Of 200 pairs of samples, 95 % give or take three standard errors."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        a, b = clients(30, 4.0, rng), clients(40, 1.0, rng)
        x = seen_types.unpaired(seen_types.gain('global'), a, b, 400)
        inside += x.low <= 3.0 <= x.high
    assert abs(inside / 200 - 0.95) < 3 * (0.95 * 0.05 / 200) ** 0.5


def test_the_table_has_both_kinds_and_their_difference(tmp_path):
    runs = {
        'seen': run_of(tmp_path / 'a', [10, 20, 30], [20, 30, 40]),
        'held out': run_of(tmp_path / 'b', [10, 20], [14, 24]),
    }
    results = [
        Result(name, {'kind': name}, run, table.COMPLETE)
        for name, run in runs.items()
    ]
    header, *body = seen_types.table(results, lambda o: o['kind'])
    assert all(len(x) == len(header) for x in body)
    assert body[0] == [
        'seen', '20.00', '30.00', '10.00', '15.00',
        '+10.00 [+10.00, +10.00]', '+5.00 [+5.00, +5.00]', '3',
    ]  # fmt: skip
    assert body[2][0] == 'seen less held out, unpaired'
    assert body[2][5:] == ['+6.00 [+6.00, +6.00]', '+3.00 [+3.00, +3.00]', '5']
    missing = [results[0], results[1]._replace(run=None)]
    _, *body = seen_types.table(missing, lambda o: o['kind'])
    assert len(body) == 2 and set(body[1][1:]) == {'–'}
