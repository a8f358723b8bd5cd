"""The paired gain of a run's report: its interval, and what is paired."""

import numpy as np
import pytest

from fedprompt_jax.report import summary


def rows_of(before, after, run='r', seed=0):
    """Rows of clients: the global prompt's score, and after personalization."""
    common = {'run': run, 'seed': seed, 'split': 'local'}
    return [
        common
        | {'client': i, 'prompt': prompt, 'epoch': epoch, 'rouge_l': score}
        for prompt, epoch, scores in (
            ('global', 0, before),
            ('personalized', 1, after),
        )
        for i, score in enumerate(scores)
    ]


def gain_of(gains):
    """paired_gain of clients with these gains."""
    before = np.random.default_rng(9).uniform(0, 50, len(gains))
    rows = rows_of(before, before + np.asarray(gains))
    return summary.paired_gain(rows, 'local')


def test_the_interval_of_many_clients_is_the_normal_one_of_95_percent():
    gains = np.random.default_rng(0).normal(3, 8, 500)
    half = 1.96 * gains.std(ddof=1) / np.sqrt(500)
    found = gain_of(gains)
    assert found.clients == 500
    assert found.mean == pytest.approx(gains.mean())
    # 1.645 of a 90 % interval and 2.576 of a 99 % one are 16 and 31 % off.
    assert found.mean - found.low == pytest.approx(half, rel=0.06)
    assert found.high - found.mean == pytest.approx(half, rel=0.06)


def test_the_interval_is_2_5_to_97_5_percent_of_resampled_means():
    """Skewed gains, so that it does not lie evenly around the mean."""
    rng = np.random.default_rng(1)
    gains = rng.exponential(size=15) ** 2 * 10
    means = rng.choice(gains, (100_000, 15)).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    assert high - gains.mean() > 1.2 * (gains.mean() - low)
    found, near = gain_of(gains), 0.05 * means.std()
    assert found.low == pytest.approx(low, abs=near)
    assert found.high == pytest.approx(high, abs=2 * near)  # of few means


def test_clients_of_two_runs_or_seeds_are_never_paired():
    """Their numbers are the same; each gain is within one run."""
    rows = [
        *rows_of([10, 20], [11, 22]),
        *rows_of([90, 80], [94, 88], seed=1),
        *rows_of([50, 50], [66, 82], run='other'),
    ]
    found = summary.paired_gain(rows, 'local')
    assert (found.mean, found.clients) == ((1 + 2 + 4 + 8 + 16 + 32) / 6, 6)
    apart = [r for r in rows if (r['prompt'] == 'global') == (r['seed'] == 1)]
    assert summary.paired_gain(apart, 'local').clients == 0
