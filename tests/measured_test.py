"""Studies of the data alone: measured once, and written as others are."""

import csv

from configs import fedavg_adam
from fedprompt_jax.study import measured
from fedprompt_jax.study.outputs import Study
from fedprompt_jax.study.points import Point


def points(*seeds):
    found = []
    for seed in seeds:
        config = fedavg_adam.get_config()
        config.seed = seed
        found.append(Point(f'p{seed}', {'seed': seed}, config))
    return found


def test_what_is_kept_is_not_measured_again(tmp_path):
    asked = []

    def measure(config):
        asked.append(config.seed)
        return {'KL': config.seed / 4}

    three = points(1, 2, 3)
    first = measured.measure_all(three[:2], measure, tmp_path)
    assert measured.measure_all(three, measure, tmp_path) == [
        *first,
        {'KL': 0.75},
    ]
    assert asked == [1, 2, 3]
    assert measured.read(three[0], tmp_path) == {'KL': 0.25}
    # A point of the same name and of another config.
    three[0].config.data.client_size = 7
    assert measured.read(three[0], tmp_path) is None


def test_its_tables_and_figure_are_those_of_a_study(tmp_path):
    def draw(results):
        assert [dict(r.measured) for r in results] == [{'a': 1.0}, {'b': 2.0}]
        assert all(r.run is None for r in results)

    study = Study(tmp_path, 'title', 'caption', draw)
    text = study.write_measured(points(1, 2), [{'a': 1.0}, {'b': 2.0}])
    assert [line.split() for line in text.splitlines()[:3]] == [
        ['a', 'b'], ['p1', '1', '–'], ['p2', '–', '2'],
    ]  # fmt: skip
    with (tmp_path / 'table.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['status'] for row in rows] == ['complete', 'complete']
    assert [row['a'] for row in rows] == ['1.0', '']
