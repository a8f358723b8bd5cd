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


def test_what_is_measured_is_kept_and_measured_again(tmp_path):
    """The data may have changed since."""
    three, number = points(1, 2, 3), [4]

    def measure(config):
        return {'KL': config.seed / number[0]}

    first = measured.measure_all(three, measure, tmp_path)
    assert first == [{'KL': 0.25}, {'KL': 0.5}, {'KL': 0.75}]
    assert [measured.read(point, tmp_path) for point in three] == first
    number[0] = 2
    assert measured.measure_all(three[:1], measure, tmp_path) == [{'KL': 0.5}]
    assert measured.read(three[0], tmp_path) == {'KL': 0.5}
    # A point of the same name and of another config.
    three[0].config.data.client_size = 7
    assert measured.read(three[0], tmp_path) is None


def test_an_old_figure_does_not_stay_beside_other_tables(tmp_path):
    (tmp_path / 'figure.png').write_bytes(b'old')
    Study(tmp_path, 'title').write_measured(points(1), [{'a': 1.0}])
    assert not (tmp_path / 'figure.png').exists()


def test_a_table_that_is_none_loses_nothing(tmp_path, caplog):
    study = Study(tmp_path, 'title', tabulate=lambda results: [['a'], [1, 2]])
    assert 'p1' in study.write_measured(points(1), [{'a': 1.0}])
    assert 'The table of title cannot be made' in caplog.text


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
