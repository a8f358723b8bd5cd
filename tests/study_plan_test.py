"""The plan of a study, and which of its runs are meant."""

import json

import pytest

from configs import fedavg_adam
from fedprompt_jax.study import planned, points
from fedprompt_jax.study.points import Point

HOURS = {'training': 4.0, 'validation': 2.0, 'personalization': 1.0, 'x': 0.5}


def some(*overrides):
    found = []
    for one in overrides:
        config = fedavg_adam.get_config()
        config.update_from_flattened_dict(one)
        found.append(Point(points.name_of(one), one, config))
    return found


@pytest.fixture
def plan(monkeypatch, tmp_path):
    def stand_in(config, chip, chips, *_):
        assert (chip, chips) == ('h100', config.mesh.data)
        return {'hours': HOURS, 'assumed': ['a'], 'fits': config.rounds != 9}

    monkeypatch.setattr(planned, 'plan', stand_in)

    def start(found):
        return planned.plan_all(found, tmp_path, 'h100', 0, (1, 1), tmp_path)

    return start


THREE = (
    {'personalization.l2': 0.0},
    {'personalization.l2': 0.1},
    {'personalization.l2': 0.1, 'rounds': 9},
)


def test_each_stage_1_is_counted_once(plan):
    runs, assumed = plan(some(*THREE))
    assert [run.stage_1 for run in runs] == [6.0, 0.0, 6.0]
    assert [run.stage_2 for run in runs] == [1.5] * 3
    assert [run.reused for run in runs] == ['', runs[0].name, '']
    text = planned.text(runs, assumed)
    assert 'what is left takes 16.50 h' in text
    assert '3 runs, 0 complete, 1 with the stage 1 of another' in text
    assert text.count('DOES NOT FIT') == 1 and 'Assumed: a.' in text
    runs[0] = runs[0]._replace(complete=True)
    assert 'what is left takes 9.00 h' in planned.text(runs, assumed)


def test_what_is_trained_is_reused(plan, tmp_path):
    (before,) = some({'personalization.l2': 7.0})
    folder = tmp_path / 'before'
    folder.mkdir()
    for name, value in (
        ('config', before.config.to_dict()),
        ('run', {'chosen_round': 5}),
    ):
        (folder / f'{name}.json').write_text(json.dumps(value))
    runs, _ = plan(some(*THREE))
    assert [run.stage_1 for run in runs] == [0.0, 0.0, 6.0]
    assert runs[0].reused == 'the folder before'


def test_only_the_runs_with_a_value():
    found = some(*THREE)
    keep = points.only(found, ['rounds=10', 'personalization.l2=0.1,0.3'])
    assert keep == [found[1]]
    assert points.only(found, []) == found
    for wanted, told in (
        ('rounds', r'--only=rounds must be KEY=VALUE'),
        ('round=1', r"there is no key 'round'"),
        ('rounds=1', r'no run has this value; there are 10, 9'),
    ):
        with pytest.raises(ValueError, match=told):
            points.only(found, [wanted])


def test_names_hold_what_differs():
    assert points.differing([{'a': 1, 'b': 2}, {'a': 1, 'b': 3}, {'a': 1}]) == [
        {'b': 2},
        {'b': 3},
        {},
    ]
    assert points.differing([{'a': 1, 'b': 1}, {'a': 1, 'b': 2}, {'a': 2}]) == [
        {'a': 1, 'b': 1},
        {'a': 1, 'b': 2},
        {'a': 2},
    ]


def test_a_long_name_ends_in_its_digest():
    names = {points.name_of({'x' * 300: i}) for i in range(3)}
    assert len(names) == 3
    assert all(len(name) <= points.LONGEST for name in names)
    assert points.name_of({'seed': 1}) == 'seed=1'
