"""Statistics of the trade-off by hand, by brute force, and by SciPy.

Coverage is measured where the truth is known, since it is made up.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from configs import fedavg_adam
from fedprompt_jax.report import markup, statistics, trajectory
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import outputs, points, table, tradeoff_table
from fedprompt_jax.tradeoff import bootstrap, clients, frontier
from tests import tiny_report
from tests.tiny_report import rows_of

NAN = math.nan
# Local against global: it turns down, and back to the left at last.
PATH = [[10.0, 20.0], [14.0, 18.0], [16.0, 12.0], [15.0, 11.0]]
BARE = [4.0, 8.0]


def random_points(*shape, seed=0, high=12):
    """Points on a grid of whole numbers, with ties."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, high, (*shape, 2)).astype(float)


# Frontier


def test_the_front_by_comparing_all_pairs():
    points = random_points(20, 9)
    found = frontier.pareto_front(points)
    for some, front in zip(points, found, strict=True):
        for p, there in zip(some, front, strict=True):
            beaten = any((q >= p).all() and (q > p).any() for q in some)
            assert there == (not beaten)


def test_equal_points_are_on_the_front_together_and_absent_ones_never():
    points = [[1, 1], [1, 1], [NAN, 9], [0, 1]]
    assert frontier.pareto_front(points).tolist() == [True, True, False, False]


def test_the_hypervolume_by_counting_cells():
    """Of whole numbers it is the number of unit cells below some point."""
    points, reference = random_points(30, 6, seed=1), np.array([3.0, 2.0])
    cells = np.array(list(itertools.product(range(3, 12), range(2, 12))))
    inside = (points[:, :, None] > cells).all(-1).any(1)  # [30, cells]
    found = frontier.hypervolume(points, reference)
    np.testing.assert_allclose(found, inside.sum(1))


def test_the_hypervolume_by_hand():
    # Strips of 4, 2 and 0 in width beyond (4, 8): 6 x 12, 4 x 10, 2 x 4.
    assert frontier.hypervolume(PATH, BARE) == 6 * 12 + 4 * 10 + 2 * 4
    assert frontier.hypervolume([[3.0, 30.0]], BARE) == 0  # locally worse
    assert frontier.hypervolume([[NAN, 30.0]], BARE) == 0
    assert np.isnan(frontier.hypervolume(PATH, [NAN, 8.0]))
    assert np.isnan(frontier.hypervolume([[NAN, 1.0]], [4.0, NAN]))


def test_a_point_behind_the_front_adds_no_area_and_one_beyond_it_does():
    area = frontier.hypervolume(PATH, BARE)
    assert frontier.hypervolume([*PATH, [13.0, 17.0]], BARE) == area
    assert frontier.hypervolume([*PATH, [15.0, 17.0]], BARE) > area


def test_the_area_under_a_trajectory_by_hand():
    # Above 8: 12 to 10 over 4, 10 to 4 over 2, and 4 to 3 back over 1.
    assert frontier.area_under(PATH, BARE) == 44 + 14 - 3.5
    assert frontier.area_under(PATH[:1], BARE) == 0
    assert frontier.area_under(PATH, [NAN, 8.0]) == 54.5
    assert frontier.area_under(PATH[::-1], BARE) == -54.5
    assert frontier.area_under(PATH, [4.0, 30.0]) < 0
    assert np.isnan(frontier.area_under([*PATH, [NAN, 1.0]], BARE))


def test_the_area_is_that_of_scipy():
    from scipy import integrate

    points = random_points(10, 7, seed=2)
    found = frontier.area_under(points, [0.0, 5.0])
    expected = integrate.trapezoid(points[..., 1] - 5, points[..., 0])
    np.testing.assert_allclose(found, expected)


def test_the_best_local_score_among_those_with_enough_global():
    assert frontier.best_local(PATH, 18.0) == 14
    assert frontier.best_local(PATH, 0.0) == 16
    assert np.isnan(frontier.best_local(PATH, 21.0))
    assert frontier.best_local([[10.0, 20.0], [14.0, 20 - 1e-12]], 20.0) == 14
    assert frontier.best_local([[NAN, 20.0], [5.0, 20.0]], 20.0) == 5
    assert np.isnan(frontier.best_local([[5.0, NAN]], -1e9))


def test_resamples_are_computed_together():
    """Leading axes of points and of references are those of each alone."""
    points, references = random_points(5, 4, 6), random_points(5, 4, seed=3)
    for function in (frontier.hypervolume, frontier.area_under):
        found = function(points, references)
        for i, j in itertools.product(range(5), range(4)):
            assert found[i, j] == function(points[i, j], references[i, j])
    found = frontier.best_local(points, references[..., 1])
    assert found[2, 1] == frontier.best_local(points[2, 1], references[2, 1, 1])
    assert frontier.pareto_front(points).shape == (5, 4, 6)


def test_points_have_two_scores():
    with pytest.raises(ValueError, match=r'shape \(3,\) must be \[..., T, 2\]'):
        frontier.hypervolume([1.0, 2.0, 3.0], BARE)


# Bootstrap


def local(points):
    return points[:, 0, 0]


def made_up(seeds, per_seed, between, within, rng, truth=30.0):
    """Scores [C, 1, 2] of clients whose seeds differ, and their seeds."""
    of_seed = rng.normal(truth, between, seeds)
    local = rng.normal(of_seed[:, None], within, (seeds, per_seed))
    scores = np.stack([local, 50 - local], -1).reshape(-1, 1, 2)
    return scores, np.repeat(np.arange(seeds), per_seed)


def test_the_interval_over_one_seed_is_scipy_s():
    scores, seeds = made_up(1, 25, 0, 8, np.random.default_rng(0))
    found = bootstrap.interval(local, scores, seeds, resamples=20000)
    expected = stats.bootstrap(
        (scores[:, 0, 0],),
        np.mean,
        n_resamples=20000,
        method='percentile',
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.estimate == pytest.approx(scores[:, 0, 0].mean())
    assert found.low == pytest.approx(expected.low, abs=0.1)
    assert found.high == pytest.approx(expected.high, abs=0.1)
    assert (found.seeds, found.clients, found.dropped) == (1, 25, 0)


def test_resamples_of_two_levels_are_those_of_a_plain_loop():
    """Seeds of 3, 5 and 9 clients: quantiles of means over seeds."""
    rng = np.random.default_rng(0)
    seeds = np.repeat([7, 8, 9], [3, 5, 9])
    values = rng.normal(10.0 * seeds, 5.0)
    names = np.unique(seeds)
    plain = []
    for _ in range(4000):
        means = []
        for seed in rng.choice(names, len(names)):
            inside = values[seeds == seed]
            means.append(rng.choice(inside, len(inside)).mean())
        plain.append(np.mean(means))
    times = bootstrap.counts(seeds, 4000, np.random.default_rng(1))
    drawn = bootstrap.weights_of(times, seeds) @ values
    shares = [0.025, 0.25, 0.5, 0.75, 0.975]
    np.testing.assert_allclose(
        np.quantile(drawn, shares), np.quantile(plain, shares), atol=0.6
    )


def test_a_seed_counts_once_however_many_clients_it_has():
    scores = np.array([10.0, 10.0, 10.0, 20.0])[:, None, None] * [1.0, 2.0]
    found = bootstrap.interval(local, scores, [0, 0, 0, 1])
    assert found.estimate == 15
    # Clients of a seed are equal, so only seeds differ: both twice, or each.
    assert (found.low, found.high) == pytest.approx((10, 20))
    seeds = np.array([0, 0, 0, 1])
    times = bootstrap.counts(seeds, 50, np.random.default_rng(0))
    weights = bootstrap.weights_of(times, seeds)
    np.testing.assert_allclose(weights.sum(1), 1)


def test_prompts_of_a_client_are_drawn_together():
    """Each client gains exactly 2, whoever is drawn."""
    rng = np.random.default_rng(0)
    before = rng.normal(30, 10, (12, 1, 2))
    scores = np.concatenate([before, before + 2], axis=1)
    found = bootstrap.interval(
        lambda points: points[:, 1, 0] - points[:, 0, 0],
        scores,
        np.repeat([0, 1], 6),
    )
    assert (found.low, found.high) == pytest.approx((2, 2))


def test_methods_are_compared_on_the_same_clients():
    rng = np.random.default_rng(0)
    a = rng.normal(30, 10, (20, 1, 2))
    b = np.repeat(a - 3, 4, axis=1)  # another number of prompts
    seeds = np.repeat([0, 1], 10)
    found = bootstrap.difference(local, a, b, seeds)
    assert found[:3] == pytest.approx((3, 3, 3))
    a[4], b[7, 2] = NAN, NAN
    found = bootstrap.difference(local, a, b, seeds)
    assert (found.clients, found.dropped) == (18, 2)
    assert found[:3] == pytest.approx((3, 3, 3))


def test_a_client_without_a_score_is_left_out_of_all_prompts():
    scores = np.zeros((4, 2, 2))
    scores[:, 1] = np.arange(4)[:, None]
    scores[3, 0, 1] = NAN
    found = bootstrap.interval(lambda p: p[:, 1, 0], scores, [0, 0, 0, 0])
    assert (found.estimate, found.clients, found.dropped) == (1, 3, 1)


def test_no_interval_of_fewer_than_two_clients():
    one = bootstrap.interval(local, [[[5.0, 1.0]]], [3])
    assert (one.estimate, one.seeds, one.clients) == (5, 1, 1)
    assert math.isnan(one.low) and math.isnan(one.high)
    none = bootstrap.interval(local, [[[NAN, 1.0]]], [3])
    assert math.isnan(none.estimate)
    assert (none.seeds, none.clients, none.dropped) == (0, 0, 1)


def test_the_same_scores_give_the_same_interval():
    scores, seeds = made_up(3, 5, 2, 8, np.random.default_rng(0))
    found = [bootstrap.interval(local, scores, seeds) for _ in range(2)]
    assert found[0] == found[1]
    wide = bootstrap.interval(local, scores, seeds, level=0.99)
    assert wide.low < found[0].low and wide.high > found[0].high


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r'\(3, 2\) must be \[C, T, 2\]'):
        bootstrap.interval(local, np.zeros((3, 2)), [0, 0, 0])
    with pytest.raises(ValueError, match=r'\(2,\) must be \[3\]'):
        bootstrap.interval(local, np.zeros((3, 1, 2)), [0, 0])


def coverage(seeds, per_seed, between, within, tries=300) -> float:
    """The share of intervals that contain the truth."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(tries):
        scores, of = made_up(seeds, per_seed, between, within, rng)
        found = bootstrap.interval(local, scores, of, resamples=500)
        hits += found.low <= 30 <= found.high
    return hits / tries


# Seeds, standard deviations between seeds and between clients, and the bounds
# of the share: binomial errors of 300 tries are 0.013 to 0.029.
RATES = [
    (1, 0.0, 8.0, 0.90, 0.98),
    (8, 0.0, 8.0, 0.95, 1.0),  # too wide: clients' noise is drawn twice
    (8, 3.0, 8.0, 0.88, 0.97),
    (8, 8.0, 1.0, 0.84, 0.95),
    (3, 8.0, 1.0, 0.60, 0.82),  # percentiles of three seeds are too narrow
]


@pytest.mark.parametrize(('seeds', 'between', 'within', 'low', 'high'), RATES)
def test_intervals_contain_the_truth_at_their_rate(
    seeds, between, within, low, high
):
    """What docs/tradeoff.md says of them, too."""
    assert low <= coverage(seeds, 20, between, within) <= high


def test_clients_of_one_seed_do_not_say_how_another_would_turn_out():
    """The interval over one seed's clients misses the mean over seeds."""
    assert coverage(1, 20, 8.0, 8.0) < 0.6


def test_the_best_of_equal_prompts_is_too_good():
    """Ten prompts of equal worth, see docs/tradeoff.md; half a point too high.

    The interval moves with it: it is no remedy.
    """
    rng = np.random.default_rng(0)
    above = []
    for _ in range(100):
        of_client = rng.normal(0, 8, (32, 1, 1))
        scores = 30 + of_client + rng.normal(0, 3, (32, 10, 2))
        best = bootstrap.interval(
            lambda points: frontier.best_local(points, points[:, 0, 1]),
            scores,
            np.zeros(32, int),
            resamples=200,
        )
        above.append([best.estimate - 30, (best.low + best.high) / 2 - 30])
    estimate, middle = np.mean(above, axis=0)
    assert estimate > 0.3 and middle > estimate


# Clients


def test_a_quantile_of_counts_is_numpy_s_of_repeated_values():
    rng = np.random.default_rng(0)
    values, times = rng.normal(size=11), rng.multinomial(11, [1 / 11] * 11, 40)
    for share in (0, 0.1, 0.37, 0.5, 0.99, 1):
        np.testing.assert_allclose(
            clients.quantile(values, times, share),
            [np.quantile(np.repeat(values, t), share) for t in times],
        )


def test_deciles_by_axis_and_their_changes():
    rng = np.random.default_rng(0)
    before, after = rng.normal(30, 9, (2, 40, 2))
    before[7, 1] = NAN
    seeds = np.repeat([0, 1], 20)
    whole = np.arange(40) != 7
    changes = clients.decile_changes(before, after, seeds)
    for (axis, percent), found in clients.deciles(before, seeds).items():
        i = ('local', 'global').index(axis)
        expected = np.percentile(before[whole, i], percent)
        assert found.estimate == pytest.approx(expected)
        assert found.low < found.estimate < found.high and found.dropped == 1
        change = np.percentile(after[whole, i], percent) - expected
        assert changes[axis, percent].estimate == pytest.approx(change)
    assert len(changes) == 6
    nobody = clients.deciles([[NAN, NAN]], [0])
    assert math.isnan(nobody['local', 10].estimate)


def test_a_decile_of_equal_gains_has_no_width():
    before = np.random.default_rng(0).normal(30, 9, (30, 2))
    changes = clients.decile_changes(before, before - 2, [0] * 30)
    for change in changes.values():
        assert change[:3] == pytest.approx((-2, -2, -2))


def test_clients_hurt_and_the_worst_one():
    before = np.array([[10, 20], [10, 20], [10, 20], [10, 20], [10, 20.0]])
    change = [[1, -1], [-2, -3], [0, -1e-12], [5, -2], [NAN, -9]]
    after = before + np.array(change)
    share = clients.hurt(before, after, [0] * 5)
    assert share['local'].estimate == 1 / 4
    assert share['global'].estimate == 3 / 4
    assert share['local'].low == 0 and share['local'].dropped == 1
    worst = clients.worst(before, after)
    assert worst == {'local': (1, -2.0), 'global': (1, -3.0)}
    assert clients.worst([[NAN, 1]], [[1, 1]])['local'].place == -1


# Of a run


def rows(seed=0, run='r', shift=0.0):
    return [
        row | {'seed': seed, 'run': run}
        for row in [
            *rows_of('bare', [1, 2, 3], 5),
            *rows_of('initial', [2, 3, 4], 4),
            *rows_of('global', [10 + shift, 20, 30], 25),
            *rows_of('averaged', [12, 23, 34], [25, 27, 26], 2, 0.5),
            *rows_of('personalized', [14, 26, 38], 20, 2, 1.0),
            *rows_of('personalized', [11, 22, 33], 24, 1, 1.0),
            *rows_of('averaged', [99, 99, 99], 99, 1, 0.5),
        ]
    ]


def test_a_trajectory_has_prompts_in_their_order():
    found = trajectory.read(rows(), 'rouge_l', averaged=True)
    assert [p.name for p in found.prompts] == [
        'bare model', 'global prompt', 'epoch 1', 'epoch 2', 'α = 0.5',
    ]  # fmt: skip
    assert found.scores[:, :, 0].tolist() == [
        [1, 10, 11, 14, 12], [2, 20, 22, 26, 23], [3, 30, 33, 38, 34],
    ]  # fmt: skip
    assert found.scores[1, :, 1].tolist() == [5, 25, 24, 20, 27]
    assert found.clients[1] == ('r', 0, 101) and found.names[1] == 'clinic 1'
    assert (found.bare, found.path) == (0, [1, 2, 3])
    half = trajectory.read(rows(), 'exact_match')
    assert half.scores[1, :, 0].tolist() == [1, 10, 11, 13]
    more = trajectory.read(rows(), 'rouge_l', others=['initial'])
    assert [p.label for p in more.prompts[:3]] == ['bare', 'initial', 'global']
    nothing = [r for r in rows() if r['prompt'] != 'personalized']
    assert trajectory.read(nothing, 'rouge_l') is None
    assert trajectory.read([], 'rouge_l') is None


def test_runs_are_pooled_by_seed_and_paired_by_client():
    both = trajectory.read([*rows(1, 'a'), *rows(2, 'b')], 'rouge_l')
    assert both.seeds.tolist() == [1, 1, 1, 2, 2, 2]
    other = trajectory.read(rows(2, 'x')[::-1], 'rouge_l')
    ours, theirs = trajectory.paired(both, other)
    assert ours == [3, 4, 5]
    for i, j in zip(ours, theirs, strict=True):
        assert both.clients[i][1:] == other.clients[j][1:]
    assert theirs == [2, 1, 0]


def test_a_prompt_that_a_client_lacks_is_not_a_number():
    less = [r for r in rows() if (r['client'], r['epoch']) != (101, 2)]
    found = trajectory.read(less, 'rouge_l')
    assert np.isnan(found.scores[1, 3]).all()
    assert np.isfinite(found.scores[[0, 2]]).all()
    assert statistics.statistics(found)['best_local'].dropped == 1


def test_statistics_of_a_run_by_hand():
    found = statistics.statistics(
        trajectory.read(rows(), 'rouge_l', averaged=True)
    )
    # Means: bare (2, 5), then (20, 25), (22, 24), (26, 20); α (23, 26).
    expected = {
        'hypervolume': 18 * 20 + 2 * 19 + 4 * 15,
        'hypervolume_averaged': 21 * 21 + 3 * 15,
        'area': 2 * 19.5 + 4 * 17,
        'best_local': 20,
        'best_local_averaged': 23,
        'local_gain': 6,
        'global_gain': -5,
        'hurt_local': 0,
        'hurt_global': 1,
    }
    assert {k: x.estimate for k, x in found.items()} == pytest.approx(expected)
    assert (found['area'].seeds, found['area'].clients) == (1, 3)
    bare = [r for r in rows() if r['prompt'] != 'bare']
    left = statistics.statistics(trajectory.read(bare, 'rouge_l'))
    assert 'hypervolume' not in left and left['best_local'].estimate == 20


def test_the_front_names_its_prompts_and_how_often_they_are_on_it():
    """Two of four clients lose locally at epoch 1, so it is not always on."""
    scores = [
        *rows_of('global', [10, 10, 10, 10], 20),
        *rows_of('personalized', [15, 15, 9, 9], 18, 1, 1.0),
        *rows_of('personalized', [5, 5, 5, 5], 17, 2, 1.0),
    ]
    front = dict(statistics.front(trajectory.read(scores, 'rouge_l')))
    assert list(front) == ['global prompt', 'epoch 1']
    assert front['global prompt'] == 1
    # It is beaten if at most 0 of 4 draws are of the first two: 1 in 16.
    assert front['epoch 1'] == pytest.approx(15 / 16, abs=0.03)


def test_what_a_run_prints_and_shows(tmp_path):
    text = statistics.text(rows(), 'rouge_l')
    assert all(len(line) <= 80 for line in text.splitlines())
    for words in (
        'hypervolume beyond the bare model', '458.0', '100 %',
        '3 clients of one seed, not over seeds',
    ):  # fmt: skip
        assert words in text
    assert statistics.text([], 'rouge_l') == ''
    two = trajectory.read([*rows(1, 'a'), *rows(2, 'b', 60.0)], 'rouge_l')
    assert 'over 2 seeds and over 6 clients' in statistics.resampled(two)
    (worst, _) = statistics.notes(two, 'ROUGE-L')[1:]
    assert worst == (
        'Worst client by change in ROUGE-L: local client 100 of b (-56.00); '
        'global client 100 of a (-5.00).'
    )
    run = Run(tiny_report.make_run(tmp_path / 'run', rows))
    page = '\n'.join(markup.tradeoff(run))
    for words in (
        'best local score at no loss of global', 'the same with averaged',
        'local, 10th', '+4.40', 'Pareto front', 'α = 0.5 (100 %)',
    ):  # fmt: skip
        assert words in page
    empty = Run(tiny_report.make_run(tmp_path / 'empty', None))
    assert list(markup.tradeoff(empty)) == []


def test_statistics_of_a_study_pool_the_seeds_of_a_line(tmp_path):
    runs = [
        Run(tiny_report.make_run(tmp_path / f'{seed}', lambda s=seed: rows(s)))
        for seed in (1, 2)
    ]
    header, one, both, none = tradeoff_table.cells(
        [('one', runs[:1]), ('both', [*runs, None]), ('none', [None])]
    )
    assert header[:4] == ['', 'seeds', 'clients', 'hypervolume']
    assert one[:3] == ['one', '1', '3'] and both[:3] == ['both', '2', '6']
    assert one[3].startswith('458.0 [') and both[3].startswith('458.0 [')
    assert both[-1] == '100 [100, 100]'
    assert none == ['none', *['–'] * 7]
    assert tradeoff_table.cells([('none', [None])]) == []
    columns = tradeoff_table.columns(runs[0])
    assert columns['tradeoff.hypervolume_averaged'] == pytest.approx(486)
    low, high = (columns[f'tradeoff.area.{end}'] for end in ('low', 'high'))
    assert columns['tradeoff.area'] == pytest.approx(107)
    assert low < columns['tradeoff.area'] < high
    assert columns['tradeoff.local.p90'] == pytest.approx(35.6 - 28)
    assert columns['tradeoff.local.worst'] == pytest.approx(4)
    header, one, both = tradeoff_table.client_cells(
        [('one', runs[:1]), ('both', runs), ('none', [None])]
    )
    assert header[1] == 'local, 10th' and header[-1] == 'worst global'
    assert one[-2:] == [
        '+4.00 (client 100, seed 1)', '-5.00 (client 100, seed 1)',
    ]  # fmt: skip
    # Of 10, 20, 30 and of 14, 26, 38, each twice.
    assert both[0] == 'both' and both[1].startswith('+4.00 [')
    assert tradeoff_table.client_cells([('none', [None])]) == []


def test_a_study_leaves_the_statistics_of_its_lines(tmp_path):
    """Beside its own name each: the first line gains 6, the second 60."""
    config = fedavg_adam.get_config()
    some = [points.Point(f'{r}', {'rounds': r}, config) for r in (1, 2, 3)]
    for point in some[:2]:
        shift = -60.0 if point.name == '2' else 0.0
        made = tiny_report.make_run(
            tmp_path / point.name, lambda s=shift: rows(shift=s)
        )
        (made / 'metrics.jsonl').unlink()
    folders = [tmp_path / point.name for point in some]
    ends = [table.COMPLETE, table.COMPLETE, 'not complete']
    study = outputs.Study(tmp_path / 'results', 'a study')
    text = study.write(some, folders, ends)
    first, second, third = text.split('hypervolume')[1].splitlines()[1:4]
    assert first.split()[:4] == ['rounds=1', '1', '3', '458.0']
    assert second.split()[:3] == ['rounds=2', '1', '3']
    assert first.split()[3] != second.split()[3]
    assert third.split() == ['rounds=3', *['–'] * 7]
    assert text.endswith('3: not complete')
    markdown = (tmp_path / 'results/table.md').read_text('utf-8')
    assert '| rounds=1 | 1 | 3 | 458.0 [' in markdown
    assert 'No result: 3: not complete' in markdown
    page = (tmp_path / 'results/report.html').read_text('utf-8')
    assert '<td>458.0 [' in page and 'area under the trajectory' in page
    (line, *_) = (tmp_path / 'results/table.csv').read_text().splitlines()
    assert 'tradeoff.best_local.high' in line
    assert '| rounds=1 | +4.40 [' in markdown and '10th' not in text
    assert '+4.00 (client 100, seed 0)' in markdown and '10th' in page
    own = study._replace(tabulate=lambda results: [['of its own'], ['1']])
    assert 'hypervolume' not in own.write(some, folders, ends)
