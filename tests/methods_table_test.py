"""The table of methods, and the figures of views and of layers."""

import json
import math
import types
from typing import Any

import numpy as np
import pytest

from fedprompt_jax.data.partitions import Clients
from fedprompt_jax.experiment import views as scored
from fedprompt_jax.report import views
from fedprompt_jax.report.figures import layers as layers_figure
from fedprompt_jax.report.figures import views as views_figure
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import methods
from fedprompt_jax.study.outputs import Result

# Round -> (validation, global accuracy, own accuracy over clients).
ROUNDS = {0: (40.0, 50.0, 50.0), 5: (70.0, 60.0, 64.0), 10: (60.0, 75.0, 80.0)}


def run_at(folder, shift=0.0) -> Run:
    """A run of two scored rounds; `shift` is added to all test scores."""
    folder.mkdir(parents=True)
    lines = []
    for number, (valid, whole, own) in ROUNDS.items():
        lines += [
            {
                'stage': 'validation',
                'round': number,
                'exact_match': valid + shift,
                'loss': 1.0,
            },
            {
                'stage': 'views',
                'round': number,
                'global_accuracy': whole + shift,
                'own_accuracy': own + shift,
                'global_score': whole + shift - 20,
                'own_score': own + shift - 30,
                'global_clients_accuracy': whole + shift - 1,
                'global_clients_accuracy_se': 3.0,
                'own_clients_accuracy': own + shift,
                'own_clients_accuracy_se': 4.0,
                'examples': 400,
            }
            | ({} if number else {'majority_accuracy': 52.0,
                                  'own_majority_accuracy': 71.0,
                                  'own_majority_clients_accuracy': 73.0,
                                  'own_majority_clients_accuracy_se': 2.0}),
        ]  # fmt: skip
    lines += [
        {
            'stage': 'train',
            'round': n + 1,
            'bytes_up': 4000,
            'bytes_down': 8000,
            'seconds': 2.0,
            'slowest_share': 0.25,
        }
        for n in range(10)
    ]
    text = ''.join(json.dumps(x) + '\n' for x in lines)
    (folder / 'metrics.jsonl').write_text(text)
    config = {'clients_per_round': 4, 'evaluation': {'metric': 'accuracy'}}
    (folder / 'config.json').write_text(json.dumps(config))
    (folder / 'run.json').write_text(json.dumps({'selection': 'exact_match'}))
    return Run(folder)


def result(folder, rate, seed, shift=0.0) -> Result:
    name = f'{rate}-{seed}'
    run = run_at(folder / name, shift)
    return Result(name, {'rate': rate, 'seed': seed}, run, 'complete')


def test_the_best_round_is_that_of_validation(tmp_path):
    """Round 5, though round 10 is better on the test split."""
    run = run_at(tmp_path / 'run')
    assert views.best(run)['round'] == 5
    assert views.summary(run, 'global_accuracy') == {
        'best': 60.0,
        'last': 75.0,
        'last ten': 67.5,
    }
    rows = views.table(run)
    assert 'round 5' in rows[0][1]
    cells = {row[0]: row[1:] for row in rows[1:]}
    assert cells[views.VIEWS['global']] == ['60.00', '75.00', '67.50']
    on_parts = cells[views.ON_PARTS['own']]
    assert on_parts == ['64.00 ± 4.00', '80.00 ± 4.00', '72.00']
    assert cells[views.CONSTANT['majority_accuracy']] == ['52.00'] * 3
    assert views.text(run).count('\n') > 6


def test_a_line_of_the_rate_that_validation_prefers(tmp_path):
    """0.1 is best on validation; two seeds of it, 6 apart on the test."""
    results = [
        result(tmp_path, 0.1, 0, 5.0),
        result(tmp_path, 0.1, 1, -1.0),
        result(tmp_path, 0.3, 0, 0.0),
        result(tmp_path, 0.3, 1, 0.0),
        Result('gone', {'rate': 0.9, 'seed': 0}, None, 'not complete'),
    ]
    header, line, majority = methods.table(
        results, lambda o: 'sst2', lambda o: 'ours', {'sst2': 70.0}, 'rate'
    )
    row = dict(zip(header, line, strict=True))
    assert row['method'] == 'ours, 0.1' and row['runs'] == '4/5'
    # 60 + 5 and 60 - 1; binomial errors of 400 examples in each seed.
    mean, errors = (
        62.0,
        [100 * math.sqrt(p * (1 - p) / 400) for p in (0.65, 0.59)],
    )
    half = 1.96 * math.hypot(*errors) / 2
    assert row['global: best'] == f'{mean:.1f} ± {half:.1f}'
    assert row['own: best'] == f'66.0 ± {1.96 * math.hypot(4, 4) / 2:.1f}'
    assert row['own: last ten'].startswith('74.0')
    # The task's own metric at the round that validation chose.
    assert (row['global score'], row['own score']) == ('42.0', '36.0')
    assert (row['kB up'], row['kB down']) == ('1.0', '2.0')
    assert (row['slowest s'], row['cohort s']) == ('0.50', '2.00')
    # Round 10 reaches 70 in both; 12 kB of all devices a round.
    assert (row['rounds to target'], row['MB to target']) == ('10', '0.1')
    assert majority[:4] == ['sst2', 'majority', '2', '52.0']
    own = dict(zip(header, majority, strict=True))['own: best']
    assert own == f'73.0 ± {1.96 * math.hypot(2, 2) / 2:.1f}'


def test_a_target_that_is_not_reached_is_a_dash(tmp_path):
    lines = methods.table(
        [result(tmp_path, 0.1, 0)], lambda o: 't', lambda o: 'm', {'t': 99.0}
    )
    assert lines[1][-2:] == ['–', '–']


def test_methods_without_a_run_have_dashes():
    gone = Result('gone', {}, None, 'not complete')
    _, line = methods.table([gone], lambda o: 't', lambda o: 'm', {}, 'x')
    assert line == ['t', 'm', '0/1', *['–'] * 14]


def test_accuracy_against_traffic_is_drawn(tmp_path):
    results = [result(tmp_path, 0.1, seed) for seed in (0, 1)]
    figure = methods.draw(results, lambda o: 't', lambda o: 'm')
    (ax,) = figure.axes
    points = [bars.lines[0].get_xydata()[0] for bars in ax.containers]
    np.testing.assert_allclose(points, [(1.0, 60.0), (1.0, 64.0)])
    assert methods.draw([], lambda o: 't', lambda o: 'm') is None


def test_three_lines_of_views(tmp_path):
    figure = views_figure.draw([run_at(tmp_path / 'run')])
    heights = [line.get_ydata().tolist() for line in figure.axes[0].lines]
    assert heights == [[50, 60, 75], [49, 59, 74], [50, 64, 80]]
    assert views_figure.draw([]) is None


def test_the_chosen_layers_are_filled():
    record = {
        'score': 'cosine',
        'order': 'largest',
        'scores': [3.0, 5.0, 0.0],
        'chosen': [1],
    }
    (ax,) = layers_figure.figure_of(record).axes
    heights = {
        round(bar.get_x() + bar.get_width() / 2): bar
        for bars in ax.containers
        for bar in bars
    }
    assert {k: v.get_height() for k, v in heights.items()} == {
        0: 3.0, 1: 5.0, 2: 0.0
    }  # fmt: skip
    filled = {k for k, v in heights.items() if v.get_facecolor()[3] > 0}
    assert filled == {1}
    assert layers_figure.figure_of({'score': 'random', 'chosen': []}) is None


@pytest.mark.parametrize('values', [[], [math.nan]])
def test_a_mean_over_nothing_is_a_dash(values):
    assert str(methods.spread(values, values)) == '–'


def test_the_majority_of_all_and_of_each_client_by_hand():
    """Two clients train on (yes, yes, no) and (no, no); four are scored."""
    answers = 'yes yes no no no  yes no no yes'.split()
    store = types.SimpleNamespace(record=lambda i: {'outputs': [answers[i]]})
    trained = Clients(np.arange(5), np.array([0, 3, 5]), {})
    # yes | no, no, yes
    parts = Clients(np.arange(5, 9), np.array([0, 1, 4]), {})
    experiment: Any = types.SimpleNamespace(
        data=types.SimpleNamespace(population=trained, store=store)
    )
    found = scored._majority(experiment, parts)
    assert found['majority_accuracy'] == 50.0  # 'no' for all
    assert found['own_majority_accuracy'] == 75.0  # 'yes'; 'no' three times
    by_client = np.array([100.0, 200 / 3])
    key = 'own_majority_clients_accuracy'
    assert found[key] == pytest.approx(by_client.mean())
    error = by_client.std(ddof=1) / math.sqrt(2)
    assert found[f'{key}_se'] == pytest.approx(error)
