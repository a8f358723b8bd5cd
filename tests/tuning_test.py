"""Tables of a study that are no table of all runs: tuned rates, baselines."""

import math

import pytest

from configs import fedavg_adam
from fedprompt_jax.report.run import Run
from fedprompt_jax.study import table, tuning
from fedprompt_jax.study.outputs import Result
from fedprompt_jax.study.points import Point
from tests import tiny_report


def results(*scores):
    """(level, rate, score or None); the score stands for the run."""
    return [
        Result('', {'level': level, 'rate': rate}, score, 'complete')
        for level, rate, score in scores
    ]


def best(*scores):
    return tuning.table(
        results(*scores),
        ('level',),
        lambda o: (o['level'],),
        {'rate': 'rate', 'other': 'other'},
        lambda run: run,
        {'half': lambda run: run / 2},
    )


def test_the_best_of_each_group():
    header, *lines = best(
        ('high', 0.1, math.nan),
        ('high', 0.01, 12.0),
        ('low', 1.0, 3.0),
        ('high', 1.0, 30.0),
        ('low', 0.1, 3.0),
        ('high', 10.0, None),
        ('no', 1.0, None),
    )
    assert header == [
        'level', 'rate', 'other', 'best score', 'second best', 'half', 'runs',
    ]  # fmt: skip
    assert lines == [
        ['high', '1', '–', '30.00', '12.00', '15.00', '2/4'],
        ['low', '1', '–', '3.00 (one of 2 equal)', '3.00', '1.50', '2/2'],
        ['no', '–', '–', '–', '–', '–', '0/1'],
    ]


def test_scores_by_which_rates_are_chosen(tmp_path):
    run = Run(tiny_report.make_run(tmp_path / 'run'))
    assert tuning.validation_score(run) == run.chosen_validation['rouge_l']
    # One client diverged: the mean of the others is no comparison.
    assert math.isnan(tuning.local_score(run))
    rows = tiny_report.rows_of('personalized', [14, 38], [20, 24], 2, 1.0)
    other = tiny_report.make_run(tmp_path / 'other', lambda: rows)
    assert tuning.local_score(Run(other)) == pytest.approx(26)
    assert tuning.global_score(Run(other)) == pytest.approx(22)
    nothing = Run(tmp_path / 'nothing')
    assert math.isnan(tuning.validation_score(nothing))
    assert math.isnan(tuning.local_score(nothing))


def baselines(*found):
    """Lines of runs (seed, status, score of copy) below the runs."""
    points, records = [], []
    for i, (seed, status, score) in enumerate(found):
        config = fedavg_adam.get_config()
        config.seed = seed
        points.append(Point(f'{i}', {'rounds': i}, config))
        records.append(
            {
                'status': status,
                'global.local.rouge_l': 5.0,
                'global.global.rouge_l': 6.0,
                'personalized.local.rouge_l': 7.0,
                'copy.local.rouge_l': score,
                'copy.global.rouge_l': score / 2,
            }
        )
    _, *lines = table.cells(points, records)
    return lines[len(found) :]


def test_baselines_are_lines_of_the_table():
    done = table.COMPLETE
    assert baselines((0, done, 8.0), (0, done, 8.0)) == [
        ['copy', '1', '8.00', '4.00', '–']
    ]
    (line,) = baselines((0, done, 8.0), (1, done, 10.0))
    assert line[:2] == ['copy', '2'] and line[2].startswith('9.00 ± ')
    assert baselines((0, done, 8.0), (0, done, 9.0)) == []  # other data
    assert baselines((0, done, 8.0), (0, 'damaged: x', 9.0)) == [
        ['copy', '1', '8.00', '4.00', '–']
    ]


def test_columns_of_words_stand_on_the_left():
    lines = [['name', 'score'], ['a', '1.00'], ['long name', '–']]
    assert table.text(lines, [], []).splitlines()[:3] == [
        'name       score',
        'a           1.00',
        'long name      –',
    ]
    assert '| --- | ---: |' in table.markdown(lines, [], [])
